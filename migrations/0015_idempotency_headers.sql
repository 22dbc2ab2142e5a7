-- What else an answer told: where the new thing is, and its state. NULL: it did not.
ALTER TABLE idempotency ADD COLUMN location TEXT;
ALTER TABLE idempotency ADD COLUMN etag TEXT;

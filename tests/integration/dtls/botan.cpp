// One DTLS association on Botan, which knows suites that no other program here has: ECDHE_PSK with
// AES-128-CCM_8 above all. In C++ because Botan's TLS has no other door.
//
//   dtls_botan client PORT SUITE MESSAGE psk IDENTITY KEY
//   dtls_botan server PORT SUITE - x509 CERTIFICATE PRIVATE_KEY AUTHORITY
//
// The suite is its number in hexadecimal, like the message and the PSK; files are PEM. A client
// sends the message, prints what comes back and says goodbye when its standard input ends; a server
// gives back what it gets.
#include <botan/auto_rng.h>
#include <botan/certstor.h>
#include <botan/credentials_manager.h>
#include <botan/data_src.h>
#include <botan/hex.h>
#include <botan/pkcs8.h>
#include <botan/tls_callbacks.h>
#include <botan/tls_client.h>
#include <botan/tls_policy.h>
#include <botan/tls_server.h>
#include <botan/tls_session_manager.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace tls = Botan::TLS;
using words = std::vector<std::string>;

void say(const std::string &line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

// Only the one suite, and no certificate status, which nobody here serves.
class only_policy final : public tls::Policy {
  public:
    only_policy(uint16_t suite, bool is_certified) : suite(suite), is_certified(is_certified) {
    }
    words allowed_ciphers() const override {
        return {"AES-128/GCM", "AES-128/CCM", "AES-128/CCM(8)"};
    }
    words allowed_key_exchange_methods() const override {
        return {"PSK", "ECDHE_PSK", "ECDH"};
    }
    words allowed_signature_methods() const override {
        return {"ECDSA", "IMPLICIT"};
    }
    bool acceptable_ciphersuite(const tls::Ciphersuite &asked) const override {
        return asked.ciphersuite_code() == suite;
    }
    bool require_cert_revocation_info() const override {
        return false;
    }
    bool require_client_certificate_authentication() const override {
        return is_certified;
    }

  private:
    uint16_t suite;
    bool is_certified;
};

class credentials final : public Botan::Credentials_Manager {
  public:
    credentials(const std::string &identity, const std::string &key)
        : identity(identity), key(key) {
    }
    credentials(const std::string &certificate, const std::string &key_file,
                const std::string &authority)
        : certificate(std::make_unique<Botan::X509_Certificate>(certificate)) {
        Botan::DataSource_Stream source(key_file);
        own = Botan::PKCS8::load_key(source);
        trust.add_certificate(Botan::X509_Certificate(authority));
    }
    std::vector<Botan::Certificate_Store *>
    trusted_certificate_authorities(const std::string &, const std::string &) override {
        return {&trust};
    }
    std::vector<Botan::X509_Certificate> find_cert_chain(const words &,
                                                         const std::vector<Botan::X509_DN> &,
                                                         const std::string &,
                                                         const std::string &) override {
        return certificate ? std::vector{*certificate} : std::vector<Botan::X509_Certificate>();
    }
    Botan::Private_Key *private_key_for(const Botan::X509_Certificate &, const std::string &,
                                        const std::string &) override {
        return own.get();
    }
    std::string psk_identity(const std::string &, const std::string &,
                             const std::string &) override {
        return identity;
    }
    Botan::SymmetricKey psk(const std::string &, const std::string &context,
                            const std::string &) override {
        if (context == "dtls-cookie-secret") {
            return Botan::SymmetricKey(std::string(64, 'c'));
        }
        return Botan::SymmetricKey(key);
    }

  private:
    std::string identity, key;
    std::unique_ptr<Botan::X509_Certificate> certificate;
    std::unique_ptr<Botan::Private_Key> own;
    Botan::Certificate_Store_In_Memory trust;
};

class association final : public tls::Callbacks {
  public:
    association(int fd, std::string message) : fd(fd), message(std::move(message)) {
    }
    void tls_emit_data(const uint8_t data[], size_t size) override {
        (void)!::send(fd, data, size, 0);
    }
    void tls_record_received(uint64_t, const uint8_t data[], size_t size) override {
        say("received " + Botan::hex_encode(data, size, false));
        if (message.empty()) {
            channel->send(data, size);
        }
    }
    void tls_alert(tls::Alert alert) override {
        say((alert.is_fatal() ? "failed " : "alert ") + alert.type_string());
        is_over = is_over || alert.is_fatal() || alert.type() == tls::Alert::CLOSE_NOTIFY;
    }
    bool tls_session_established(const tls::Session &session) override {
        say("established " + session.ciphersuite().to_string());
        return true;
    }
    void tls_session_activated() override {
        if (!message.empty()) {
            channel->send(Botan::hex_decode_locked(message));
        }
    }
    void run(tls::Channel &mine) {
        for (channel = &mine; !is_over;) {
            pollfd wait[] = {{fd, POLLIN, 0}, {message.empty() ? -1 : STDIN_FILENO, POLLIN, 0}};
            uint8_t datagram[2048];
            (void)poll(wait, 2, 100);
            ssize_t len = wait[0].revents != 0 ? recv(fd, datagram, sizeof datagram, 0) : 0;
            if (len > 0) {
                mine.received_data(datagram, static_cast<size_t>(len));
            }
            if (wait[1].revents != 0 && read(STDIN_FILENO, datagram, sizeof datagram) <= 0) {
                mine.close();
                is_over = true;
            }
            mine.timeout_check();
        }
    }

  private:
    int fd;
    std::string message;
    tls::Channel *channel = nullptr;
    bool is_over = false;
};

// A client's socket knows its server; a server's takes the first to speak for its client.
int open_socket(uint16_t port, bool is_server) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    auto *name = reinterpret_cast<sockaddr *>(&address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (is_server) {
        char first;
        if (bind(fd, name, len) != 0) {
            throw std::runtime_error("bind");
        }
        say("ready");
        (void)recvfrom(fd, &first, 1, MSG_PEEK, name, &len);
    }
    if (connect(fd, name, len) != 0) {
        throw std::runtime_error("connect");
    }
    return fd;
}

void talk(const words &args) {
    bool is_server = args.at(0) == "server", is_certified = args.at(4) == "x509";
    only_policy policy(static_cast<uint16_t>(std::stoul(args.at(2), nullptr, 16)), is_certified);
    auto known = is_certified ? std::make_unique<credentials>(args.at(5), args.at(6), args.at(7))
                              : std::make_unique<credentials>(args.at(5), args.at(6));
    int fd = open_socket(static_cast<uint16_t>(std::stoul(args.at(1))), is_server);
    Botan::AutoSeeded_RNG rng;
    tls::Session_Manager_Noop sessions;
    association here(fd, is_server ? "" : args.at(3));
    std::unique_ptr<tls::Channel> channel;
    if (is_server) {
        channel = std::make_unique<tls::Server>(here, sessions, *known, policy, rng, true);
    } else {
        channel = std::make_unique<tls::Client>(here, sessions, *known, policy, rng,
                                                tls::Server_Information("localhost"),
                                                tls::Protocol_Version::DTLS_V12);
    }
    here.run(*channel);
    close(fd);
}

} // namespace

int main(int argc, char **argv) {
    try {
        talk(words(argv + 1, argv + argc));
    } catch (const std::exception &error) {
        say(std::string("failed ") + error.what());
        return 1;
    }
    return 0;
}

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::X509Builder;

use crate::config::Settings;

/// A key, and a certificate of it that was valid from `from` to `until` (in seconds since 1970).
fn certificate(from: i64, until: i64) -> (PKey<Private>, Vec<u8>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut builder = X509Builder::new().expect("a certificate");
    builder.set_pubkey(&key).expect("a key");
    builder.set_not_before(&Asn1Time::from_unix(from).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::from_unix(until).expect("a time")).expect("a time");
    builder.sign(&key, MessageDigest::sha256()).expect("a signature");
    (key, builder.build().to_pem().expect("PEM"))
}

/// A certificate that is in order, and its key, encrypted where there is a password.
fn good(password: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let (key, certificate) = certificate(0, 4_000_000_000);
    let key = match password {
        Some(password) => key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes()),
        None => key.private_key_to_pem_pkcs8(),
    };
    (certificate, key.expect("PEM"))
}

/// A directory that goes when the test ends.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("emq_plugin_kafka-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn parse(pairs: &[(&str, &str)]) -> Settings {
    Settings::parse(pairs.iter().copied()).expect("valid")
}

fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
    let errors = Settings::parse(pairs.iter().copied()).expect_err("no error");
    errors.iter().map(|e| e.to_string().replace("emq.plugin.kafka.", "")).collect()
}

fn property(settings: &Settings, name: &str) -> Option<String> {
    settings.client_config().get(name).map(str::to_owned)
}

const PLAIN: [(&str, &str); 3] =
    [("security_protocol", "sasl_plaintext"), ("sasl_mechanism", "PLAIN"), ("sasl_username", "writer")];

fn plain_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    PLAIN.iter().chain(more).copied().collect()
}

#[test]
fn nothing_set_is_plaintext_and_no_other_property() {
    let settings = parse(&[]);
    assert_eq!(property(&settings, "security.protocol").as_deref(), Some("plaintext"));
    assert_eq!(property(&settings, "ssl.ca.location"), None);
    assert_eq!(property(&settings, "ssl.endpoint.identification.algorithm"), None);
}

#[test]
fn tls_looks_for_the_machines_authorities_and_checks_the_host_name() {
    let settings = parse(&[("security_protocol", "ssl")]);
    assert_eq!(property(&settings, "ssl.ca.location").as_deref(), Some("probe"));
    assert_eq!(property(&settings, "ssl.endpoint.identification.algorithm").as_deref(), Some("https"));
    let settings = parse(&[("security_protocol", "ssl"), ("ssl_endpoint_identification_algorithm", "none")]);
    assert_eq!(property(&settings, "ssl.endpoint.identification.algorithm").as_deref(), Some("none"));
}

#[test]
fn every_setting_becomes_the_property_of_its_name() {
    let dir = Dir::new("all");
    let (certificate, key) = good(Some("k"));
    let ca = dir.file("ca", &certificate, 0o644);
    let (certificate, key) = (dir.file("crt", &certificate, 0o644), dir.file("key", key, 0o600));
    let settings = parse(&[
        ("security_protocol", "sasl_ssl"),
        ("ssl_ca_location", &ca),
        ("ssl_certificate_location", &certificate),
        ("ssl_key_location", &key),
        ("ssl_key_password", "k"),
        ("sasl_mechanism", "SCRAM-SHA-512"),
        ("sasl_username", "u"),
        ("sasl_password", "p"),
    ]);
    for (name, value) in [
        ("security.protocol", "sasl_ssl"),
        ("ssl.ca.location", &ca),
        ("ssl.certificate.location", &certificate),
        ("ssl.key.location", &key),
        ("ssl.key.password", "k"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
    ] {
        assert_eq!(property(&settings, name).as_deref(), Some(value), "{name}");
    }
    assert!(settings.client_config().create_native_config().is_ok());
    assert_eq!(settings.warnings(), [""; 0]);
    assert_eq!(settings.login(), (Some("SCRAM-SHA-512"), Some("u")));
}

#[test]
fn secrets_are_in_no_text_that_is_shown() {
    let dir = Dir::new("shown");
    let (certificate, key) = good(Some("canary"));
    let (certificate, key) = (dir.file("crt", certificate, 0o644), dir.file("key", key, 0o600));
    let file = dir.file("password", "canary", 0o600);
    let settings = parse(&[
        ("security_protocol", "sasl_ssl"),
        ("ssl_certificate_location", &certificate),
        ("ssl_key_location", &key),
        ("ssl_key_password", "canary"),
        ("sasl_mechanism", "PLAIN"),
        ("sasl_username", "u"),
        ("sasl_password_file", &file),
    ]);
    let shown = settings.redacted();
    assert!(shown.contains(&("ssl.key.password".into(), "******".into())));
    assert!(shown.contains(&("sasl.password_file".into(), file)));
    assert!(!format!("{shown:?} {settings:?}").contains("canary"));
    assert_eq!(property(&settings, "sasl.password").as_deref(), Some("canary"));
}

#[test]
fn a_password_file_loses_the_end_of_its_line_and_nothing_else() {
    let dir = Dir::new("line");
    for (content, password) in [("p", "p"), ("p\n", "p"), ("p\r\n", "p"), ("p ü \n", "p ü "), ("#p", "#p")] {
        let file = dir.file("password", content, 0o600);
        let settings = parse(&plain_with(&[("sasl_password_file", &file)]));
        assert_eq!(property(&settings, "sasl.password").as_deref(), Some(password), "{content:?}");
    }
}

#[test]
fn a_password_file_that_cannot_be_used_is_a_problem_that_names_key_and_file() {
    let dir = Dir::new("bad");
    let directory = dir.0.to_str().expect("UTF-8").to_owned();
    for (file, expected) in [
        (format!("{directory}/missing"), "No such file"),
        (directory.clone(), "is not a file"),
        (dir.file("empty", "", 0o600), "is empty"),
        (dir.file("newline", "\n", 0o600), "is empty"),
        (dir.file("lines", "a\nb\n", 0o600), "has more than one line"),
        (dir.file("nul", "a\0b", 0o600), "has a NUL character"),
        (dir.file("space", " a", 0o600), "begins with a space"),
        (dir.file("latin1", [b'a', 0xff], 0o600), "is not UTF-8"),
        (dir.file("large", vec![b'a'; 70_000], 0o600), "is larger than 64 KB"),
    ] {
        for key in ["sasl.password_file", "ssl.key.password_file"] {
            let name = key.replace('.', "_");
            let found = errors(&[(&name, &file)]);
            let problem = found.iter().find(|problem| problem.contains(&file)).expect(&file);
            assert!(problem.starts_with(&format!("{key}: ")) && problem.contains(expected), "{problem}");
        }
    }
    // Root may read everything.
    let secret = dir.file("secret", "canary", 0o000);
    if std::fs::read(&secret).is_err() {
        assert!(errors(&plain_with(&[("sasl_password_file", &secret)])).concat().contains("Permission denied"));
    }
}

#[test]
fn a_relative_path_says_below_which_directory_it_was_looked_for() {
    let found = errors(&plain_with(&[("sasl_password_file", "etc/nowhere")]));
    let here = std::env::current_dir().expect("a directory");
    assert!(found.concat().contains(&format!("\"etc/nowhere\" below {}: No such file", here.display())), "{found:?}");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let dir = Dir::new("pipe");
    let pipe = dir.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let found = errors(&plain_with(&[("sasl_password_file", pipe.to_str().expect("UTF-8"))]));
    assert!(found.concat().contains("is not a file"), "{found:?}");
}

#[test]
fn a_secret_that_others_can_read_is_warned_of_with_its_mode() {
    let dir = Dir::new("mode");
    for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true), (0o777, true)] {
        let file = dir.file("password", "p", mode);
        let settings = parse(&plain_with(&[("sasl_password_file", &file)]));
        assert_eq!(settings.warnings().len(), usize::from(warned), "{mode:o}");
        for warning in settings.warnings() {
            assert!(
                warning.starts_with("emq.plugin.kafka.sasl.password_file: ") && warning.contains(&file),
                "{warning}"
            );
            assert!(warning.contains(&format!("(mode {mode:04o}); expected 0600 or 0400")), "{warning}");
        }
        let (certificate, key) = good(None);
        let (key, certificate) = (dir.file("key", key, mode), dir.file("crt", certificate, 0o644));
        let settings = parse(&[
            ("security_protocol", "ssl"),
            ("ssl_certificate_location", &certificate),
            ("ssl_key_location", &key),
        ]);
        assert_eq!(settings.warnings().len(), usize::from(warned), "{mode:o}");
    }
}

#[test]
fn a_password_and_a_file_for_it_are_one_too_many() {
    let dir = Dir::new("two");
    let file = dir.file("password", "p", 0o600);
    let found = errors(&plain_with(&[("sasl_password", "canary"), ("sasl_password_file", &file)]));
    assert_eq!(found, ["sasl.password: is set, and sasl.password_file too: set only one of them"]);
}

#[test]
fn what_cannot_work_is_told_with_what_was_expected() {
    let dir = Dir::new("together");
    let (file, key) = (dir.file("file", "x", 0o644), dir.file("key", "x", 0o600));
    let missing = format!("{file}.missing");
    let sasl = |pairs: &[(&'static str, &'static str)]| errors(pairs);
    assert_eq!(
        sasl(&[("security_protocol", "sasl_ssl")]),
        ["sasl.mechanism: is missing: security.protocol is sasl_ssl; expected one of PLAIN, SCRAM-SHA-256, \
          SCRAM-SHA-512, GSSAPI, OAUTHBEARER"]
    );
    assert_eq!(
        sasl(&[("security_protocol", "sasl_plaintext"), ("sasl_mechanism", "SCRAM-SHA-256")]),
        [
            "sasl.username: is missing: sasl.mechanism = SCRAM-SHA-256 needs it",
            "sasl.password: is missing: sasl.mechanism = SCRAM-SHA-256 needs it (or sasl.password_file)",
        ]
    );
    assert_eq!(
        sasl(&[("security_protocol", "ssl"), ("sasl_username", "u")]),
        ["sasl.username: is set, but security.protocol is ssl: it needs sasl_plaintext or sasl_ssl"]
    );
    assert_eq!(
        errors(&[("security_protocol", "ssl"), ("server", "SSL://a:1,PLAINTEXT://b:2")]),
        [
            "server: \"PLAINTEXT://b:2\" has the protocol plaintext, but security.protocol is ssl: set security.protocol = \
          plaintext, or remove the protocol"
        ]
    );
    assert_eq!(
        errors(&[("ssl_ca_location", &file)]),
        ["ssl.ca.location: is set, but security.protocol is plaintext: it needs ssl or sasl_ssl"]
    );
    assert_eq!(
        errors(&[("security_protocol", "ssl"), ("ssl_key_location", &key)]),
        ["ssl.certificate.location: is missing: ssl.key.location needs it"]
    );
    assert_eq!(
        errors(&[("security_protocol", "ssl"), ("ssl_certificate_location", &file)]),
        ["ssl.key.location: is missing: ssl.certificate.location needs it"]
    );
    assert_eq!(
        errors(&[("security_protocol", "ssl"), ("ssl_key_password", "p")]),
        ["ssl.key.location: is missing: ssl.key.password needs it"]
    );
    let found = errors(&[("security_protocol", "ssl"), ("ssl_ca_location", &missing)]);
    assert!(found[0].starts_with(&format!("ssl.ca.location: cannot read {missing:?}: No such file")), "{found:?}");
    assert_eq!(
        sasl(&[("security_protocol", "tls"), ("sasl_mechanism", "MD5")]),
        [
            "security.protocol: expected one of plaintext, ssl, sasl_plaintext, sasl_ssl, got \"tls\"",
            "sasl.mechanism: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI, OAUTHBEARER, got \"MD5\"",
        ]
    );
}

#[test]
fn files_that_hold_something_else_are_told_by_key_and_file() {
    let dir = Dir::new("contents");
    let (certificate, key) = good(None);
    let (_, locked) = good(Some("canary"));
    let (certificate, other) = (dir.file("crt", certificate, 0o644), dir.file("other", locked, 0o600));
    let (key, text) = (dir.file("key", key, 0o600), dir.file("text", "hello", 0o600));
    let foreign = dir.file("foreign", good(None).1, 0o600);
    let with = |certificate: &str, key: &str, more: &[(&str, &str)]| {
        let pairs =
            [("security_protocol", "ssl"), ("ssl_certificate_location", certificate), ("ssl_key_location", key)];
        errors(&[&pairs, more].concat())
    };
    for (found, expected) in [
        (with(&text, &key, &[]), format!("ssl.certificate.location: {text:?} holds no certificate")),
        (with(&certificate, &text, &[]), format!("ssl.key.location: {text:?} holds no private key")),
        (with(&certificate, &certificate, &[]), format!("ssl.key.location: {certificate:?} holds no private key")),
        (with(&certificate, &foreign, &[]), format!("ssl.key.location: {foreign:?} is not the key of the certificate")),
        (
            with(&certificate, &other, &[]),
            format!("ssl.key.location: {other:?} needs a password: set ssl.key.password_file"),
        ),
        (
            with(&certificate, &other, &[("ssl_key_password", "guessed")]),
            format!("ssl.key.location: {other:?} cannot be read with the password"),
        ),
        (with(&certificate, &other, &[("ssl_key_password", &"x".repeat(9000))]), "cannot be read with".to_owned()),
        (
            errors(&[("security_protocol", "ssl"), ("ssl_ca_location", &key)]),
            format!("ssl.ca.location: {key:?} holds no certificate"),
        ),
    ] {
        assert!(found.len() == 1 && found[0].contains(&expected), "{expected}: {found:?}");
        assert!(!found[0].contains("guessed"));
    }
}

#[test]
fn a_certificate_out_of_its_time_is_warned_of() {
    let dir = Dir::new("dates");
    for (from, until, expected) in
        [(0, 1_000_000_000, "expired on Sep  9"), (4_000_000_000, 4_100_000_000, "is not valid before Oct  2")]
    {
        let (key, certificate) = certificate(from, until);
        let certificate = dir.file("crt", certificate, 0o644);
        let key = dir.file("key", key.private_key_to_pem_pkcs8().expect("PEM"), 0o600);
        let settings = parse(&[
            ("security_protocol", "ssl"),
            ("ssl_certificate_location", &certificate),
            ("ssl_key_location", &key),
        ]);
        assert!(settings.warnings().concat().contains(expected), "{:?}", settings.warnings());
    }
}

#[test]
fn a_mechanism_that_is_not_built_in_says_how_to_build_it() {
    for (mechanism, feature, built_in) in super::BUILT_IN {
        let pairs = [("security_protocol", "sasl_ssl"), ("sasl_mechanism", mechanism)];
        if built_in {
            assert!(Settings::parse(pairs).is_ok(), "{mechanism}");
        } else {
            let expected = format!("make FEATURES={feature}");
            assert!(errors(&pairs).concat().contains(&expected), "{mechanism}");
        }
    }
}

#[test]
fn properties_of_librdkafka_win_and_count_in_what_goes_together() {
    let settings = parse(&plain_with(&[("rdkafka.sasl.password", "other")]));
    assert_eq!(property(&settings, "sasl.password").as_deref(), Some("other"));
    let settings = parse(&[
        ("rdkafka.security.protocol", "SASL_SSL"),
        ("rdkafka.sasl.mechanisms", "PLAIN"),
        ("rdkafka.sasl.username", "u"),
        ("sasl_password", "p"),
    ]);
    assert_eq!(property(&settings, "security.protocol").as_deref(), Some("SASL_SSL"));
    assert_eq!(settings.login(), (Some("PLAIN"), Some("u")));
}

#[test]
fn an_empty_setting_is_unset() {
    let empty = [
        "ssl_ca_location",
        "ssl_certificate_location",
        "ssl_key_location",
        "ssl_key_password",
        "ssl_key_password_file",
        "sasl_mechanism",
        "sasl_username",
        "sasl_password",
        "sasl_password_file",
    ];
    assert_eq!(parse(&empty.map(|name| (name, ""))), Settings::default());
}

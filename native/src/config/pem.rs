//! Certificates and keys, looked at before librdkafka does: OpenSSL has one sentence for all that is wrong with a file.

use openssl::asn1::Asn1Time;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::files;
use crate::config::names::Key;

/// The certificates of a file, of which there is one at least.
pub fn certificates(path: &str) -> Result<Vec<X509>, String> {
    let text = files::content(path)?;
    let certificates = X509::stack_from_pem(&text).unwrap_or_default();
    if certificates.is_empty() {
        return Err(format!("{path:?} holds no certificate: expected PEM (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

/// The private key of a file.
pub fn key(path: &str, password: Option<&str>) -> Result<PKey<Private>, String> {
    let text = files::content(path)?;
    let mut asked = false;
    let read = PKey::private_key_from_pem_callback(&text, |room| {
        asked = true;
        let password = password.unwrap_or_default().as_bytes();
        // What has no room is too long for OpenSSL, and so the wrong one.
        let Some(room) = room.get_mut(..password.len()) else { return Ok(0) };
        room.copy_from_slice(password);
        Ok(password.len())
    });
    match (read, asked, password) {
        (Ok(key), ..) => Ok(key),
        (Err(_), true, None) => Err(format!("{path:?} needs a password: set {}", Key("ssl.key.password_file"))),
        (Err(_), true, Some(_)) => {
            let (file, given) = (Key("ssl.key.password_file"), Key("ssl.key.password"));
            Err(format!("{path:?} cannot be read with the password of {file} or {given}"))
        }
        (Err(_), false, _) => Err(format!("{path:?} holds no private key: expected PEM (-----BEGIN PRIVATE KEY-----)")),
    }
}

/// What of a certificate keeps it from working, now.
pub fn is_out_of_date(certificate: &X509) -> Option<String> {
    let now = Asn1Time::days_from_now(0).ok()?;
    if certificate.not_after() < now {
        return Some(format!("expired on {}", certificate.not_after()));
    }
    (certificate.not_before() > now).then(|| format!("is not valid before {}", certificate.not_before()))
}

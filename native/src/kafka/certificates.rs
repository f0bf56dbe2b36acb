//! What is wrong with the certificate that a broker shows, in words. OpenSSL decides; librdkafka's own log has one sentence
//! for all that can be wrong, and asks for nobody's reason but a callback's.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::panic::catch_unwind;

use openssl::asn1::Asn1TimeRef;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef, X509Ref, X509VerifyResult};
use rdkafka::bindings::{rd_kafka_conf_res_t, rd_kafka_conf_set_ssl_cert_verify_cb, rd_kafka_t};
use rdkafka::config::NativeClientConfig;

use crate::config::names::Key;

/// OpenSSL's word for a certificate that is in order.
const X509_V_OK: c_int = 0;

/// librdkafka's answers: accepted, refused.
const ACCEPTED: c_int = 1;
const REFUSED: c_int = 0;

/// Lets librdkafka's log say what is wrong with a certificate (its line `SSLCERTVRFY`). False: the library has no TLS.
#[must_use]
pub fn explain_in(config: &NativeClientConfig) -> bool {
    // SAFETY: the configuration is alive. `verify` is a function for all time, and keeps what rdkafka.h asks of it: any
    // thread may call it, it calls librdkafka for nothing, and writes no more than it is told it may.
    let result = unsafe { rd_kafka_conf_set_ssl_cert_verify_cb(config.ptr(), Some(verify)) };
    result == rd_kafka_conf_res_t::RD_KAFKA_CONF_OK
}

/// Called for each certificate of a chain with OpenSSL's verdict. Says why, where that is a refusal; never accepts what OpenSSL
/// refused, and accepts what it accepted.
///
/// # Safety
///
/// librdkafka calls it as rdkafka.h says: the name is a text that lives as long as the call, or null; `x509_error` is OpenSSL's
/// verdict; `buffer` are `size` bytes, the certificate in DER; `reason` has room for `reason_size` bytes.
unsafe extern "C" fn verify(
    _client: *mut rd_kafka_t,
    broker: *const c_char,
    _broker_id: i32,
    x509_error: *mut c_int,
    depth: c_int,
    buffer: *const c_char,
    size: usize,
    reason: *mut c_char,
    reason_size: usize,
    _opaque: *mut c_void,
) -> c_int {
    if x509_error.is_null() {
        return REFUSED;
    }
    // SAFETY: not null, so it points to OpenSSL's verdict. It is only read: what librdkafka does with a refusal is told by it.
    let verdict = unsafe { *x509_error };
    if verdict == X509_V_OK {
        return ACCEPTED;
    }
    // A panic must not reach librdkafka's thread, which would end the VM. Nothing below has one; a refusal without words would be
    // all that it costs.
    let text = catch_unwind(|| {
        let broker = if broker.is_null() {
            Cow::Borrowed("")
        } else {
            // SAFETY: the caller's promise.
            unsafe { CStr::from_ptr(broker) }.to_string_lossy()
        };
        // SAFETY: the caller's promise.
        let der = if buffer.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(buffer.cast(), size) } };
        words(verdict, depth, &broker, X509::from_der(der).ok().as_ref())
    });
    if let Ok(text) = text
        && !reason.is_null()
    {
        // SAFETY: the caller's promise of room.
        unsafe { write(&text, reason, reason_size) };
    }
    REFUSED
}

/// Writes as much of a text as has room, with a NUL behind it.
///
/// # Safety
///
/// `to` has room for `size` bytes.
unsafe fn write(text: &str, to: *mut c_char, size: usize) {
    let Some(room) = size.checked_sub(1) else { return };
    let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    // SAFETY: `end` is at most the text's length and less than `size`; a text of ours does not overlap librdkafka's buffer.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), to, end);
        to.add(end).write(0);
    }
}

/// The authorities that are trusted.
const CA: &str = "ssl.ca.location";

/// The lists of what they have revoked.
const REVOKED: &str = "rdkafka.ssl.crl.location";

/// What is wrong, whose certificate it is, and what to change.
fn words(verdict: c_int, depth: c_int, broker: &str, certificate: Option<&X509>) -> String {
    let whose = if depth == 0 { "its certificate" } else { "the certificate of a CA above it" };
    let subject =
        certificate.map_or_else(String::new, |certificate| format!(" ({})", name(certificate.subject_name())));
    let signed_by = |authority: &str| {
        format!(
            "its certificate was signed by {authority}, which {} does not hold: add the certificate of this CA there",
            Key(CA)
        )
    };
    let what = match verdict {
        18 => {
            return format!(
                "its certificate{subject} is self-signed: add it to {}, or use a certificate of a CA",
                Key(CA)
            );
        }
        // The end of its chain is an authority that nobody knows.
        19 => return signed_by(&certificate.map_or_else(String::new, |certificate| name(certificate.subject_name()))),
        // No issuer found; a signature that is not that authority's; a chain that ends nowhere.
        2 | 7 | 20 | 21 => {
            return signed_by(&certificate.map_or_else(String::new, |certificate| name(certificate.issuer_name())));
        }
        9 => format!(
            "is not valid before {}: renew it, or set this machine's clock",
            date(certificate, X509Ref::not_before)
        ),
        10 => {
            format!("expired on {}: renew it, or set this machine's clock", date(certificate, X509Ref::not_after))
        }
        23 => "was revoked by its CA: the broker needs another one".to_owned(),
        3 => format!("cannot be checked for revocation: {} has no list of its CA", Key(REVOKED)),
        12 => format!("cannot be checked for revocation: the list in {} has expired", Key(REVOKED)),
        // It compares the name with its brackets.
        62 | 64 if broker.starts_with('[') => {
            format!(
                "cannot be compared with an IPv6 address: expected a host name in {} and in the broker's advertised.listeners",
                Key("server")
            )
        }
        62 | 64 => {
            let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
            let names = certificate.map_or_else(String::new, names);
            format!(
                "is for another host than {host}{names}: expected the name in {} and in the broker's advertised.listeners to \
                 be one of the certificate's",
                Key("server")
            )
        }
        66..=68 => format!("is too weak for OpenSSL ({}): the broker needs another one", openssl_words(verdict)),
        26 => "is not for a server (its extended key usage): the broker needs another one".to_owned(),
        _ => format!("was refused by OpenSSL: {}", openssl_words(verdict)),
    };
    format!("{whose}{subject} {what}")
}

fn openssl_words(verdict: c_int) -> &'static str {
    // SAFETY: OpenSSL has a text for every number.
    unsafe { X509VerifyResult::from_raw(verdict) }.error_string()
}

fn date(certificate: Option<&X509>, of: impl Fn(&X509Ref) -> &Asn1TimeRef) -> String {
    certificate.map_or_else(String::new, |certificate| of(certificate).to_string())
}

/// The common name; all parts where there is none.
fn name(name: &X509NameRef) -> String {
    let text = |nid| name.entries_by_nid(nid).next().and_then(|entry| entry.data().to_string().ok());
    if let Some(common) = text(Nid::COMMONNAME) {
        return format!("CN={common}");
    }
    let parts: Vec<String> = name
        .entries()
        .filter_map(|entry| {
            let value = entry.data().to_string().ok()?;
            Some(format!("{}={value}", entry.object().nid().short_name().unwrap_or("?")))
        })
        .collect();
    if parts.is_empty() { "without a name".to_owned() } else { parts.join(", ") }
}

/// The hosts that a certificate is for, a few of them.
fn names(certificate: &X509) -> String {
    const SHOWN: usize = 4;
    let Some(names) = certificate.subject_alt_names() else { return ", having no names of hosts".to_owned() };
    let mut text = String::new();
    for name in names.iter().take(SHOWN) {
        let before = if text.is_empty() { ", for " } else { ", " };
        match (name.dnsname(), name.ipaddress().map(address)) {
            (Some(host), _) => write!(text, "{before}{host}").unwrap_or_default(),
            (None, Some(Some(address))) => write!(text, "{before}{address}").unwrap_or_default(),
            _ => {}
        }
    }
    if names.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What librdkafka gets for a verdict, and the reason that it logs.
    fn asked(verdict: c_int, certificate: &[u8], room: usize) -> (c_int, String) {
        let (mut error, mut reason) = (verdict, [0x7f_u8; 600]);
        // SAFETY: as librdkafka calls it: all pointers are alive, the sizes are theirs.
        let answer = unsafe {
            verify(
                std::ptr::null_mut(),
                c"kafka1:9093".as_ptr(),
                1,
                &raw mut error,
                0,
                certificate.as_ptr().cast(),
                certificate.len(),
                reason.as_mut_ptr().cast(),
                room,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(error, verdict, "OpenSSL's verdict stays");
        assert!(reason[room..].iter().all(|byte| *byte == 0x7f), "wrote past its room");
        let end = reason.iter().position(|byte| *byte == 0).unwrap_or(0);
        (answer, String::from_utf8(reason[..end].to_vec()).expect("UTF-8"))
    }

    #[test]
    fn accepts_what_openssl_accepted_and_nothing_else() {
        assert_eq!(asked(X509_V_OK, &[], 512).0, ACCEPTED);
        for verdict in (-3..200).filter(|verdict| *verdict != X509_V_OK) {
            for certificate in [&[][..], b"no certificate"] {
                let (answer, reason) = asked(verdict, certificate, 512);
                assert_eq!(answer, REFUSED, "{verdict}");
                assert!(!reason.is_empty(), "{verdict}");
            }
        }
    }

    #[test]
    fn writes_no_more_than_it_has_room_for() {
        for room in [0, 1, 2, 10, 100] {
            let (answer, reason) = asked(62, &[], room);
            assert_eq!(answer, REFUSED);
            assert_eq!(reason.len(), room.saturating_sub(1));
        }
    }

    #[test]
    fn what_is_missing_is_no_acceptance() {
        use std::ptr::{null, null_mut};
        // SAFETY: null is what it takes for nothing.
        let answer = unsafe { verify(null_mut(), null(), 0, null_mut(), 0, null(), 0, null_mut(), 0, null_mut()) };
        assert_eq!(answer, REFUSED);
        let mut error = 62;
        // SAFETY: as above.
        let answer = unsafe { verify(null_mut(), null(), 0, &raw mut error, 0, null(), 0, null_mut(), 0, null_mut()) };
        assert_eq!(answer, REFUSED);
    }

    #[test]
    fn an_ipv6_address_is_told_as_what_cannot_be_compared() {
        assert!(words(62, 0, "[::1]:9093", None).contains("cannot be compared with an IPv6 address"));
    }

    #[test]
    fn each_fault_has_its_own_words() {
        for (verdict, words) in [
            (10, "expired on"),
            (9, "is not valid before"),
            (62, "is for another host than kafka1"),
            (64, "is for another host than kafka1"),
            (18, "is self-signed"),
            (19, "which emq.plugin.kafka.ssl.ca.location does not hold"),
            (20, "which emq.plugin.kafka.ssl.ca.location does not hold"),
            (7, "which emq.plugin.kafka.ssl.ca.location does not hold"),
            (23, "was revoked"),
            (26, "is not for a server"),
            (66, "is too weak for OpenSSL"),
            (79, "was refused by OpenSSL: invalid CA certificate"),
        ] {
            let (_, reason) = asked(verdict, &[], 512);
            assert!(reason.starts_with("its certificate") && reason.contains(words), "{verdict}: {reason}");
        }
    }
}

//! The few packets of MQTT 3.1.1 that a publisher writes and reads.

use thiserror::Error;

/// The number of a PUBLISH on its connection.
pub type PacketId = u16;

/// What a broker sends that a publisher cannot have.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PacketError {
    #[error("longer than MQTT allows: {0}")]
    TooLong(&'static str),
    #[error("the broker refused the connection, with code {0}")]
    Refused(u8),
    #[error("the broker sent {0:02x?} instead of a CONNACK")]
    NoConnack([u8; 4]),
    #[error("the broker sent {0:02x?} instead of a PUBACK")]
    NoPuback([u8; 4]),
}

pub const DISCONNECT: [u8; 2] = [0xE0, 0];
/// Both are of this length.
pub const ACKNOWLEDGEMENT_BYTES: usize = 4;
const CONNECT: u8 = 0x10;
const PUBLISH_QOS_1: u8 = 0x32;
const LONGEST: usize = 268_435_455;
const CLEAN_SESSION_AND_USERNAME: u8 = 0x82;
const NO_KEEPALIVE: [u8; 2] = [0, 0];
/// Text like JSON sensor data, whose quotes need escaping in a record of JSON.
const PAYLOAD_UNIT: &[u8] = br#"{"t":21.5,"h":40.1,"id":"s-0001","ok":true,"seq":123456,"x":"ab"}"#;

/// # Errors
/// A name of more than 65,535 bytes.
pub fn connect(client_id: &str, username: &str) -> Result<Vec<u8>, PacketError> {
    let protocol = [0, 4, b'M', b'Q', b'T', b'T', 4, CLEAN_SESSION_AND_USERNAME];
    let body = [&protocol[..], &NO_KEEPALIVE, &string(client_id)?, &string(username)?].concat();
    packet(CONNECT, &body)
}

/// # Errors
/// What came is no CONNACK, or one that refuses.
pub fn connack(bytes: [u8; ACKNOWLEDGEMENT_BYTES]) -> Result<(), PacketError> {
    match bytes {
        [0x20, 2, _, 0] => Ok(()),
        [0x20, 2, _, code] => Err(PacketError::Refused(code)),
        other => Err(PacketError::NoConnack(other)),
    }
}

/// # Errors
/// What came is no PUBACK.
pub fn puback(bytes: [u8; ACKNOWLEDGEMENT_BYTES]) -> Result<PacketId, PacketError> {
    match bytes {
        [0x40, 2, high, low] => Ok(PacketId::from_be_bytes([high, low])),
        other => Err(PacketError::NoPuback(other)),
    }
}

/// A PUBLISH with `QoS` 1 but for its packet id, which is the only thing that changes.
pub struct Publish {
    before: Vec<u8>,
    payload: Vec<u8>,
}

impl Publish {
    /// # Errors
    /// A topic or payload that is longer than MQTT allows.
    pub fn new(topic: &str, payload_bytes: usize) -> Result<Self, PacketError> {
        let payload: Vec<u8> = PAYLOAD_UNIT.iter().copied().cycle().take(payload_bytes).collect();
        let topic = string(topic)?;
        let length = topic.len() + size_of::<PacketId>() + payload.len();
        Ok(Self { before: [header(PUBLISH_QOS_1, length)?, topic].concat(), payload })
    }

    /// Appends the packet.
    pub fn write(&self, id: PacketId, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.before);
        to.extend_from_slice(&id.to_be_bytes());
        to.extend_from_slice(&self.payload);
    }
}

fn packet(kind: u8, body: &[u8]) -> Result<Vec<u8>, PacketError> {
    Ok([header(kind, body.len())?, body.to_vec()].concat())
}

/// The kind of a packet, and the length of what follows, seven bits to a byte.
fn header(kind: u8, mut length: usize) -> Result<Vec<u8>, PacketError> {
    if length > LONGEST {
        return Err(PacketError::TooLong("a payload"));
    }
    let mut bytes = vec![kind];
    loop {
        let seven = u8::try_from(length % 128).unwrap_or_default();
        length /= 128;
        if length == 0 {
            bytes.push(seven);
            return Ok(bytes);
        }
        bytes.push(seven | 0x80);
    }
}

fn string(text: &str) -> Result<Vec<u8>, PacketError> {
    let length = u16::try_from(text.len()).map_err(|_| PacketError::TooLong("a topic or a name"))?;
    Ok([&length.to_be_bytes()[..], text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_names_its_client_and_user() {
        let expected = b"\x10\x14\x00\x04MQTT\x04\x82\x00\x00\x00\x02c1\x00\x04user";
        assert_eq!(connect("c1", "user").unwrap(), expected);
    }

    #[test]
    fn a_publish_has_its_id_and_as_much_payload_as_wanted() {
        let mut bytes = Vec::new();
        Publish::new("a/b", 3).unwrap().write(258, &mut bytes);
        assert_eq!(bytes, b"\x32\x0a\x00\x03a/b\x01\x02{\"t");
    }

    #[test]
    fn a_length_takes_the_bytes_that_it_needs() {
        for (length, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (LONGEST, 4)] {
            assert_eq!(header(PUBLISH_QOS_1, length).unwrap().len(), 1 + bytes);
        }
        assert_eq!(header(PUBLISH_QOS_1, 16_384).unwrap(), [PUBLISH_QOS_1, 0x80, 0x80, 1]);
        assert_eq!(header(PUBLISH_QOS_1, LONGEST + 1), Err(PacketError::TooLong("a payload")));
    }

    #[test]
    fn what_a_broker_must_not_send_is_an_error() {
        assert_eq!(connack([0x20, 2, 0, 5]), Err(PacketError::Refused(5)));
        assert_eq!(connack([0xE0, 0, 0, 0]), Err(PacketError::NoConnack([0xE0, 0, 0, 0])));
        assert_eq!(puback([0x40, 2, 1, 2]), Ok(258));
        assert_eq!(puback([0x30, 2, 1, 2]), Err(PacketError::NoPuback([0x30, 2, 1, 2])));
    }
}

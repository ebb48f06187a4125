//! Frames: four bytes of length, one of serialization, three of header length, header, body.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::remoting::header::{Header, HeaderError, Serialization};

/// The largest frame that peers take, its length field included: their decoder closes the connection above it
/// (`NettyDecoder.FRAME_MAX_LENGTH`, all tags, unless a system property says otherwise).
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

const LENGTH_BYTES: usize = 4;

/// One request or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// How the header is written.
    pub serialization: Serialization,
    /// The header.
    pub header: Header,
    /// The body, mostly JSON or properties; empty if there is none.
    pub body: Bytes,
}

/// A frame that cannot be read or written. After a read error the connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Larger than peers take.
    #[error("frame of {0} bytes is larger than {MAX_FRAME_BYTES}")]
    TooLarge(u64),
    /// The lengths contradict each other, or the serialization is unknown.
    #[error("frame is malformed: {0}")]
    Malformed(String),
    /// The header cannot be read or written.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl Frame {
    /// Writes the frame.
    ///
    /// # Errors
    /// If it is larger than [`MAX_FRAME_BYTES`], or its serialization cannot hold the header.
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        let header = self.serialization.write(&self.header)?;
        let length = LENGTH_BYTES + header.len() + self.body.len();
        let whole = LENGTH_BYTES + length;
        if whole > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge(whole as u64));
        }
        let mut out = BytesMut::with_capacity(whole);
        // Both fit: the whole frame is below 2^24 bytes.
        out.put_uint(length as u64, 4);
        out.put_u8(self.serialization.code());
        out.put_uint(header.len() as u64, 3);
        out.put_slice(&header);
        out.put_slice(&self.body);
        Ok(out.freeze())
    }

    /// Takes the next whole frame out of `buffer`; `None` while bytes are missing, for which `buffer` has room then. A length
    /// is judged as soon as it has arrived, so a hostile one never makes anybody wait or allocate for it.
    ///
    /// # Errors
    /// If what has arrived cannot become a frame.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, FrameError> {
        let Some((length, rest)) = buffer.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let whole = u64::from(length) + LENGTH_BYTES as u64;
        if whole > MAX_FRAME_BYTES as u64 {
            return Err(FrameError::TooLarge(whole));
        }
        if (length as usize) < LENGTH_BYTES {
            return Err(FrameError::Malformed(format!("{length} bytes hold no header")));
        }
        let Some([serialization, header_length @ ..]) = rest.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let serialization = Serialization::from_code(*serialization)
            .ok_or_else(|| FrameError::Malformed(format!("serialization {serialization} is unknown")))?;
        let [high, middle, low] = *header_length;
        let header_length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let content = length as usize - LENGTH_BYTES;
        if header_length > content {
            return Err(FrameError::Malformed(format!(
                "a header of {header_length} bytes in a frame of {content}"
            )));
        }
        if rest.len() < length as usize {
            make_room(buffer, LENGTH_BYTES + length as usize);
            return Ok(None);
        }
        buffer.advance(2 * LENGTH_BYTES);
        let header = buffer.split_to(header_length);
        let body = buffer.split_to(content - header_length).freeze();
        Ok(Some(Self { serialization, header: serialization.read(&header)?, body }))
    }
}

/// Gives `buffer` room for a frame of `whole` bytes and no more. A buffer that grows by doubling takes up to three times as
/// much for a moment, and twice as much for as long as somebody keeps the body. Room that is not written to is no memory.
fn make_room(buffer: &mut BytesMut, whole: usize) {
    if buffer.capacity() < whole {
        let mut exact = BytesMut::with_capacity(whole);
        exact.extend_from_slice(buffer);
        *buffer = exact;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::model::version::Version;
    use crate::remoting::header::tests::any_header;
    use crate::remoting::request_code::RequestCode;

    fn any_frame() -> impl Strategy<Value = Frame> {
        (select(&[Serialization::Json, Serialization::Binary][..]), any_header(), vec(any::<u8>(), 0..200))
            .prop_map(|(serialization, header, body)| Frame {
                serialization,
                header,
                body: Bytes::from(body),
            })
    }

    proptest! {
        #[test]
        fn frames_are_read_back_however_they_arrive(frames in vec(any_frame(), 1..4), piece in 1_usize..64) {
            let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().unwrap()).collect();
            let mut buffer = BytesMut::new();
            let mut read = Vec::new();
            for piece in stream.chunks(piece) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = Frame::decode(&mut buffer).unwrap() {
                    read.push(frame);
                }
            }
            prop_assert_eq!(read, frames);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Frame::decode(&mut BytesMut::from(&bytes[..]));
        }
    }

    #[test]
    fn a_hostile_length_is_refused_at_once() {
        for (bytes, expected) in [
            (&[0xff, 0xff, 0xff, 0xff][..], FrameError::TooLarge(0xffff_ffff + 4)),
            (&[0x00, 0xff, 0xff, 0xfd][..], FrameError::TooLarge(MAX_FRAME_BYTES as u64 + 1)),
            (&[0, 0, 0, 3][..], FrameError::Malformed("3 bytes hold no header".to_owned())),
            (&[0, 0, 0, 8, 2, 0, 0, 0][..], FrameError::Malformed("serialization 2 is unknown".to_owned())),
            (
                &[0, 0, 0, 8, 0, 0, 0, 5][..],
                FrameError::Malformed("a header of 5 bytes in a frame of 4".to_owned()),
            ),
        ] {
            assert_eq!(Frame::decode(&mut BytesMut::from(bytes)), Err(expected));
        }
    }

    #[test]
    fn the_limit_holds_to_the_byte_in_both_directions() {
        let header = Header::request(RequestCode::REGISTER_BROKER, Version::V5_3_3);
        let overhead = 2 * LENGTH_BYTES + Serialization::Json.write(&header).unwrap().len();
        let frame = |body: usize| Frame {
            serialization: Serialization::Json,
            header: header.clone(),
            body: Bytes::from(vec![b'x'; body]),
        };
        let largest = frame(MAX_FRAME_BYTES - overhead);
        let encoded = largest.encode().unwrap();
        assert_eq!(encoded.len(), MAX_FRAME_BYTES);
        assert_eq!(Frame::decode(&mut BytesMut::from(encoded)), Ok(Some(largest)));
        assert_eq!(
            frame(MAX_FRAME_BYTES - overhead + 1).encode(),
            Err(FrameError::TooLarge(MAX_FRAME_BYTES as u64 + 1))
        );
    }

    #[test]
    fn a_frame_that_arrives_in_pieces_takes_its_own_size() {
        let frame = Frame {
            serialization: Serialization::Json,
            header: Header::request(RequestCode::GET_ALL_TOPIC_CONFIG, Version::V5_3_3),
            body: Bytes::from(vec![b'x'; 9 << 20]),
        };
        let encoded = frame.encode().unwrap();
        let mut buffer = BytesMut::from(&encoded[..100]);
        assert_eq!(Frame::decode(&mut buffer), Ok(None));
        assert_eq!(buffer.capacity(), encoded.len());
        let room = buffer.as_ptr();
        buffer.extend_from_slice(&encoded[100..]);
        assert_eq!(buffer.as_ptr(), room, "it was moved");
        assert_eq!(Frame::decode(&mut buffer), Ok(Some(frame)));
    }
}

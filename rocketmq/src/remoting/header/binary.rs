//! The binary serialization (`RocketMQSerializable`, all tags).

use std::collections::BTreeMap;

use super::{Header, HeaderError, Language};
use crate::model::version::Version;

pub(super) fn write(header: &Header) -> Result<Vec<u8>, HeaderError> {
    let mut out = Vec::with_capacity(64);
    let code = i16::try_from(header.code).map_err(|_| too_large("code"))?;
    let version = u16::try_from(header.version.ordinal()).map_err(|_| too_large("version"))?;
    out.extend(code.to_be_bytes());
    out.push(header.language.code());
    out.extend(version.to_be_bytes());
    out.extend(header.opaque.to_be_bytes());
    out.extend(header.flag.to_be_bytes());
    write_text(&mut out, header.remark.as_deref().unwrap_or_default())?;
    let mut fields = Vec::new();
    for (key, value) in &header.ext_fields {
        let length = i16::try_from(key.len()).map_err(|_| too_large("key of a field"))?;
        fields.extend(length.to_be_bytes());
        fields.extend(key.as_bytes());
        write_text(&mut fields, value)?;
    }
    out.extend(length_of(&fields)?);
    out.extend(fields);
    Ok(out)
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), HeaderError> {
    out.extend(length_of(text.as_bytes())?);
    out.extend(text.as_bytes());
    Ok(())
}

fn length_of(bytes: &[u8]) -> Result<[u8; 4], HeaderError> {
    Ok(i32::try_from(bytes.len()).map_err(|_| too_large("length"))?.to_be_bytes())
}

fn too_large(what: &str) -> HeaderError {
    HeaderError(format!("its {what} is too large for the binary serialization"))
}

pub(super) fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    let mut rest = Cursor(bytes);
    let code = i32::from(i16::from_be_bytes(rest.array()?));
    let [language] = rest.array()?;
    let version = u16::from_be_bytes(rest.array()?);
    let opaque = i32::from_be_bytes(rest.array()?);
    let flag = i32::from_be_bytes(rest.array()?);
    // Java writes no remark and an empty one alike.
    let remark = Some(rest.text()?).filter(|text| !text.is_empty());
    let mut fields = Cursor(rest.counted()?);
    let mut ext_fields = BTreeMap::new();
    while !fields.0.is_empty() {
        let length = i16::from_be_bytes(fields.array()?);
        let key = utf8(fields.take(usize::try_from(length).map_err(|_| negative())?)?)?;
        ext_fields.insert(key, fields.text()?);
    }
    Ok(Header {
        code,
        language: Language::from_code(language),
        version: Version::from_ordinal(u32::from(version)),
        opaque,
        flag,
        remark,
        ext_fields,
    })
}

fn negative() -> HeaderError {
    HeaderError("a length in it is negative".to_owned())
}

fn utf8(bytes: &[u8]) -> Result<String, HeaderError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| HeaderError("a text in it is not UTF-8".to_owned()))
}

/// What is left to read. Lengths are checked against it before anything is copied.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], HeaderError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| HeaderError(format!("it ends before {count} more bytes")))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| HeaderError(format!("it ends before {N} more bytes")))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn counted(&mut self) -> Result<&'a [u8], HeaderError> {
        let length = i32::from_be_bytes(self.array()?);
        self.take(usize::try_from(length).map_err(|_| negative())?)
    }

    fn text(&mut self) -> Result<String, HeaderError> {
        utf8(self.counted()?)
    }
}

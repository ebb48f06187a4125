//! The JSON serialization (`RemotingSerializable`, all tags).

use serde_json::{Map, Value, json};

use super::{Header, HeaderError, Language};
use crate::model::version::Version;
use crate::remoting::json as dialect;

pub(super) fn write(header: &Header) -> Vec<u8> {
    let mut value = json!({
        "code": header.code,
        "flag": header.flag,
        "language": header.language.name(),
        "opaque": header.opaque,
        "serializeTypeCurrentRPC": "JSON",
        "version": header.version.ordinal(),
        "extFields": header.ext_fields,
    });
    if let Some(remark) = &header.remark {
        value["remark"] = Value::from(remark.as_str());
    }
    value.to_string().into_bytes()
}

pub(super) fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    let value = dialect::parse(bytes).map_err(|error| HeaderError(error.to_string()))?;
    let Value::Object(fields) = value else {
        return Err(HeaderError("it is not an object".to_owned()));
    };
    Ok(Header {
        code: number(&fields, "code")?.ok_or_else(|| HeaderError("it has no code".to_owned()))?,
        language: fields.get("language").and_then(Value::as_str).map_or(Language::Other, Language::from_name),
        version: Version::from_ordinal(number(&fields, "version")?.unwrap_or(0)),
        opaque: number(&fields, "opaque")?.unwrap_or(0),
        flag: number(&fields, "flag")?.unwrap_or(0),
        remark: fields.get("remark").and_then(Value::as_str).map(str::to_owned),
        ext_fields: match fields.get("extFields") {
            Some(Value::Object(entries)) => {
                entries.iter().filter_map(|(key, value)| Some((key.clone(), field_text(value)?))).collect()
            }
            _ => Default::default(),
        },
    })
}

fn number<N: TryFrom<i64>>(fields: &Map<String, Value>, name: &str) -> Result<Option<N>, HeaderError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .and_then(|number| N::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| HeaderError(format!("its {name} is not a number of that size"))),
    }
}

/// Java leaves absent fields out; other clients may write numbers and booleans bare.
fn field_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Headers that both serializations can hold.
pub(crate) fn any_header() -> impl Strategy<Value = Header> {
    (
        any::<i16>(),
        select(Language::ALL),
        any::<u16>(),
        any::<i32>(),
        any::<i32>(),
        option::of(".{1,40}"),
        btree_map(".{0,20}", ".{0,60}", 0..6),
    )
        .prop_map(|(code, language, version, opaque, flag, remark, ext_fields)| Header {
            code: i32::from(code),
            language,
            version: Version::from_ordinal(u32::from(version)),
            opaque,
            flag,
            remark,
            ext_fields,
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(header in any_header()) {
        for serialization in [Serialization::Json, Serialization::Binary] {
            let written = serialization.write(&header).unwrap();
            prop_assert_eq!(serialization.read(&written), Ok(header.clone()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Serialization::Json.read(&bytes);
        let _ = Serialization::Binary.read(&bytes);
    }

    #[test]
    fn a_cut_binary_header_is_refused(header in any_header(), cut in 0_usize..100) {
        let written = Serialization::Binary.write(&header).unwrap();
        if cut < written.len() {
            prop_assert!(Serialization::Binary.read(&written[..cut]).is_err());
        }
    }
}

#[test]
fn json_headers_hold_all_codes() {
    let mut header = Header::request(RequestCode(200_050), Version::V5_3_3);
    header.opaque = -1;
    let written = Serialization::Json.write(&header).unwrap();
    assert_eq!(Serialization::Json.read(&written), Ok(header.clone()));
    assert!(Serialization::Binary.write(&header).is_err());
}

#[test]
fn a_json_header_has_the_keys_that_java_reads() {
    let mut header = Header::request(RequestCode::QUERY_DATA_VERSION, Version::V4_5_0);
    header.ext_fields.insert("brokerName".to_owned(), "demo-0".to_owned());
    assert_eq!(
        String::from_utf8(Serialization::Json.write(&header).unwrap()).unwrap(),
        r#"{"code":322,"flag":0,"language":"OTHER","opaque":0,"serializeTypeCurrentRPC":"JSON","version":313,"extFields":{"brokerName":"demo-0"}}"#
    );
}

#[test]
fn bare_field_values_are_read_as_text_and_null_as_absent() {
    let header =
        Serialization::Json.read(br#"{"code":0,"extFields":{"a":1,"b":true,"c":null,"d":"x"}}"#).unwrap();
    let fields: Vec<_> =
        header.ext_fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("a", "1"), ("b", "true"), ("d", "x")]);
}

#[test]
fn a_header_without_a_code_is_refused() {
    for text in ["{}", "[]", r#"{"code":"x"}"#, r#"{"code":4294967296}"#] {
        assert!(Serialization::Json.read(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn flags_tell_requests_from_answers() {
    let mut request = Header::request(RequestCode::REGISTER_BROKER, Version::V5_3_3);
    assert!(!request.is_response() && !request.is_oneway());
    request.set_oneway();
    assert!(request.is_oneway());
    assert!(Header::response(&request, ResponseCode::SUCCESS, Version::V5_3_3).is_response());
}

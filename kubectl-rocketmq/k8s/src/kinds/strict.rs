//! Reads a YAML value into Rust types and refuses every field that they do not have.
//!
//! serde and the types of k8s-openapi pass over unknown fields, the API server drops them: a misspelt field would
//! silently do nothing. Each struct tells its deserializer which fields it knows, so this one compares.

use std::fmt::Display;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::error::{FieldError, join, nearest, one_of};

/// Reads `value`, found at `path`; every field must be known.
pub(crate) fn read<'de, T: Deserialize<'de>>(value: &'de Value, path: &str) -> Result<T, FieldError> {
    T::deserialize(Strict { value, path: path.to_owned() })
}

/// Reads the fields of `fields` that `T` knows and leaves the others to whoever reads the rest.
pub(crate) fn read_part<'de, T: Deserialize<'de>>(
    fields: &'de Map<String, Value>,
    path: &str,
) -> Result<T, FieldError> {
    T::deserialize(MapAccessDeserializer::new(Fields::of(fields, path))).map_err(|error| error.at(path))
}

/// Refuses a field that is not among the known ones.
pub(crate) fn refuse_unknown(
    fields: &Map<String, Value>,
    known: &[&str],
    path: &str,
) -> Result<(), FieldError> {
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        Some(field) => Err(FieldError::unknown(path, field, known)),
        None => Ok(()),
    }
}

/// The fields of a struct, as it tells its deserializer.
pub(crate) fn fields_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // The probe has no value to give, so reading always ends in an error, after the fields were told.
    drop(T::deserialize(FieldsProbe(&mut fields)));
    fields
}

struct FieldsProbe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldsProbe<'_> {
    type Error = FieldError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, FieldError> {
        Err(FieldError::value_here("is only asked for its fields"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Strict<'de> {
    value: &'de Value,
    path: String,
}

impl<'de> Strict<'de> {
    fn visit<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, FieldError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, Some(number)) => visitor.visit_f64(number),
                _ => Err(FieldError::value_here("is a number out of range")),
            },
            Value::Array(items) => {
                visitor.visit_seq(Items { items: items.iter(), index: 0, path: &self.path })
            }
            Value::Object(fields) => visitor.visit_map(Fields::of(fields, &self.path)),
        }
    }
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.visit(visitor).map_err(|error| error.at(&self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        if let Value::Object(fields) = self.value {
            refuse_unknown(fields, known, &self.path)?;
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.value {
            // The API server takes `cpu: 1` as well as `cpu: "1"`; k8s-openapi takes only the text.
            Value::Number(number) if name == "Quantity" => {
                visitor.visit_newtype_struct(StringDeserializer::new(number.to_string()))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let read: Result<V::Value, FieldError> = match self.value {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            other => Err(FieldError::value_here(format!(
                "must be {}, but is {}",
                one_of(variants),
                finding(&found(other))
            ))),
        };
        read.map_err(|error| error.at(&self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

struct Fields<'de, 'p> {
    fields: serde_json::map::Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
    path: &'p str,
}

impl<'de, 'p> Fields<'de, 'p> {
    fn of(fields: &'de Map<String, Value>, path: &'p str) -> Self {
        Self { fields: fields.iter(), current: None, path }
    }
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, FieldError> {
        self.current = self.fields.next().map(|(field, value)| (field.as_str(), value));
        match self.current {
            Some((field, _)) => seed.deserialize(field.into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, FieldError> {
        let (field, value) = self.current.take().unwrap_or(("", &Value::Null));
        seed.deserialize(Strict { value, path: join(self.path, field) })
    }
}

struct Items<'de, 'p> {
    items: std::slice::Iter<'de, Value>,
    index: usize,
    path: &'p str,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = FieldError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, FieldError> {
        let Some(value) = self.items.next() else { return Ok(None) };
        let path = format!("{}[{}]", self.path, self.index);
        self.index += 1;
        seed.deserialize(Strict { value, path }).map(Some)
    }
}

impl Error for FieldError {
    fn custom<T: Display>(message: T) -> Self {
        Self::value_here(format!("cannot be read: {message}"))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expectation(expected);
        let error = Self::value_here(format!("must be {expected}, but is {}", finding(&found)));
        match found {
            Unexpected::Bool(_) | Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)
                if expected == TEXT =>
            {
                error.with_hint("put the value in quotes")
            }
            _ => error,
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let error = Self::value_here(format!("must be {}, but is `{variant}`", one_of(expected)));
        match nearest(variant, expected) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::missing_here(field)
    }
}

const TEXT: &str = "a text";

/// serde's words for what a type expects, in a user's words.
fn expectation(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "i32" | "i64" | "u16" | "u32" | "u64" => "a whole number".to_owned(),
        "a boolean" | "bool" => "`true` or `false`".to_owned(),
        "a string" | "string" => TEXT.to_owned(),
        "a sequence" => "a list".to_owned(),
        // A struct says its own name, with or without the word.
        _ if words.starts_with("struct ") || words == "a map" || words.starts_with(char::is_uppercase) => {
            "a mapping".to_owned()
        }
        _ => words,
    }
}

fn found(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => Unexpected::Float(number.as_f64().unwrap_or_default()),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

fn finding(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Unit | Unexpected::Option => "empty".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

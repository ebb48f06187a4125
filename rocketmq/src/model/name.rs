//! The rule that names of topics, groups, brokers and clusters share, and the macro that makes a type of each.

/// A name that RocketMQ would refuse, or that would break the places it is written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid {what}: {reason}")]
pub struct InvalidName {
    what: &'static str,
    name: String,
    reason: String,
}

/// Checks a name: letters, digits and `_-%|` only (`Validators.VALID_PATTERN_STR`, all tags), up to `longest`.
pub(crate) fn check(what: &'static str, name: &str, longest: usize) -> Result<(), InvalidName> {
    let refuse = |reason: String| Err(InvalidName { what, name: name.to_owned(), reason });
    if name.is_empty() {
        return refuse("it is empty".to_owned());
    }
    if let Some(bad) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-%|".contains(*c))) {
        return refuse(format!(
            "`{}` is not allowed, only letters, digits and _-%|",
            crate::text::printable(bad.encode_utf8(&mut [0; 4]))
        ));
    }
    if name.len() > longest {
        return refuse(format!("it has {} characters, {longest} are allowed", name.len()));
    }
    Ok(())
}

/// Makes a validated name type: parse, Display, serde as a string that is checked when read.
macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal, $longest:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::model::name::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::model::name::InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                $crate::model::name::check($what, &text, $longest)?;
                Ok(Self(text))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

pub(crate) use name_type;

//! What the Kubernetes API did not do, in words: which object, why, and what kind of trouble it is.

use std::fmt;
use std::time::Duration;

use rocketmq::text::error_chain;

/// The kinds of trouble that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// No usable kubeconfig.
    Configuration,
    /// Nothing answers, or not in time.
    Unreachable,
    /// The credentials are not accepted, or do not allow it.
    Forbidden,
    /// The namespace does not exist.
    NoNamespace,
    /// The object does not exist.
    NotFound,
    /// There is an object of that name already.
    Exists,
    /// The object was changed by somebody else since it was read.
    Conflict,
    /// The API does not accept the object.
    Invalid,
    /// The cluster is older than what the plugin needs.
    TooOld,
    /// Anything else.
    Other,
}

/// An error of the Kubernetes API; its sources are the reasons, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// What kind of trouble.
    pub kind: ApiErrorKind,
    /// What failed, on which object.
    pub message: String,
    cause: Option<Box<Cause>>,
}

/// One reason in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    message: String,
    cause: Option<Box<Cause>>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// What a call is about, for its errors.
#[derive(Debug, Clone)]
pub(crate) struct About<'a> {
    /// `cannot create StatefulSet/demo`.
    pub(crate) act: &'a str,
    /// The namespace of the object.
    pub(crate) namespace: &'a str,
    /// Where the API is.
    pub(crate) server: &'a str,
}

impl ApiError {
    pub(crate) fn new(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None }
    }

    /// Adds reasons, outermost first.
    pub(crate) fn because(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        let causes: Vec<String> = causes.into_iter().collect();
        self.cause =
            causes.into_iter().rev().fold(None, |cause, message| Some(Box::new(Cause { message, cause })));
        self
    }

    /// The reasons, outermost first.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let causes = std::iter::successors(self.cause.as_deref(), |cause| cause.cause.as_deref());
        causes.map(|cause| cause.message.clone()).collect()
    }

    pub(crate) fn timed_out(about: &About<'_>, limit: Duration) -> Self {
        let message =
            format!("no answer from the Kubernetes API at {} within {}s", about.server, limit.as_secs());
        Self::new(ApiErrorKind::Unreachable, message).because([about.act.to_owned()])
    }

    pub(crate) fn from_kube(about: &About<'_>, error: &kube::Error) -> Self {
        let place = format!("{} in namespace `{}`", about.act, about.namespace);
        match error {
            kube::Error::Api(status) => {
                let reason =
                    if status.message.is_empty() { status.reason.clone() } else { status.message.clone() };
                let of_namespace =
                    status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
                match (status.code, status.reason.as_str()) {
                    (401, _) => Self::new(ApiErrorKind::Forbidden, place).because([
                        format!("the cluster at {} does not accept the credentials", about.server),
                        reason,
                    ]),
                    (403, _) => Self::new(ApiErrorKind::Forbidden, place).because([reason]),
                    (404, _) if of_namespace => Self::new(
                        ApiErrorKind::NoNamespace,
                        format!("namespace `{}` does not exist", about.namespace),
                    ),
                    (404, _) => Self::new(ApiErrorKind::NotFound, place).because([reason]),
                    (409, "AlreadyExists") => Self::new(ApiErrorKind::Exists, place).because([reason]),
                    (409, _) => Self::new(ApiErrorKind::Conflict, place).because([reason]),
                    (400 | 413 | 415 | 422, _) => Self::new(ApiErrorKind::Invalid, place).because([reason]),
                    (code, _) => {
                        Self::new(ApiErrorKind::Other, place).because([format!("{reason} (code {code})")])
                    }
                }
            }
            kube::Error::Service(_) | kube::Error::HyperError(_) => Self::new(
                ApiErrorKind::Unreachable,
                format!("no Kubernetes cluster answers at {}", about.server),
            )
            .because(std::iter::once(about.act.to_owned()).chain(error_chain(error))),
            kube::Error::Auth(_) => Self::new(ApiErrorKind::Forbidden, place).because(error_chain(error)),
            _ => Self::new(ApiErrorKind::Other, place).because(error_chain(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn check(code: u16, reason: &str, message: &str, expected: (ApiErrorKind, &str, &[&str])) {
        let about = About { act: "cannot create Service/demo", namespace: "mq", server: "https://k:6443" };
        let mut status = Status::failure(message, reason).with_code(code);
        if message.starts_with("namespaces") {
            let details = serde_json::json!({"kind": "namespaces"});
            status = status.with_details(serde_json::from_value(details).unwrap());
        }
        let error = ApiError::from_kube(&about, &kube::Error::Api(status.boxed()));
        let causes = error.causes();
        let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
        assert_eq!((error.kind, error.message.as_str(), causes.as_slice()), expected);
    }

    #[test]
    fn errors_of_the_api_say_what_and_why() {
        let act = "cannot create Service/demo in namespace `mq`";
        check(
            403,
            "Forbidden",
            "services is forbidden",
            (ApiErrorKind::Forbidden, act, &["services is forbidden"]),
        );
        check(409, "AlreadyExists", "it exists", (ApiErrorKind::Exists, act, &["it exists"]));
        check(
            409,
            "Conflict",
            "it has been modified",
            (ApiErrorKind::Conflict, act, &["it has been modified"]),
        );
        check(422, "Invalid", "spec: no", (ApiErrorKind::Invalid, act, &["spec: no"]));
        check(507, "", "full", (ApiErrorKind::Other, act, &["full (code 507)"]));
        check(
            404,
            "NotFound",
            "namespaces \"mq\" not found",
            (ApiErrorKind::NoNamespace, "namespace `mq` does not exist", &[]),
        );
        check(
            401,
            "Unauthorized",
            "Unauthorized",
            (
                ApiErrorKind::Forbidden,
                act,
                &["the cluster at https://k:6443 does not accept the credentials", "Unauthorized"],
            ),
        );
    }
}

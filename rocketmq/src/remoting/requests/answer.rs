//! Reading answers: bodies in RocketMQ's JSON, fields of the header.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::version::Version;
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::frame::Frame;
use crate::remoting::json;
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;

/// A successful answer before it is read, with what an error about it needs.
pub(super) struct Reply<'a> {
    client: &'a Client,
    request: RequestCode,
    frame: Frame,
}

impl Client {
    pub(super) async fn ask(&self, request: Request) -> Result<Reply<'_>, RemotingError> {
        let code = request.code();
        Ok(Reply { client: self, request: code, frame: self.call(request).await? })
    }

    /// Asks for something that may not be there: `absent` is the code that says so.
    pub(super) async fn ask_optional(
        &self,
        request: Request,
        absent: ResponseCode,
    ) -> Result<Answer<Option<Reply<'_>>>, RemotingError> {
        let code = request.code();
        let frame = self.exchange(request).await?;
        let version = frame.header.version;
        match ResponseCode(frame.header.code) {
            ResponseCode::SUCCESS => {
                Ok(Answer { version, value: Some(Reply { client: self, request: code, frame }) })
            }
            found if found == absent => Ok(Answer { version, value: None }),
            code_of_answer => Err(RemotingError::Refused {
                address: self.address().to_owned(),
                request: code,
                code: code_of_answer,
                remark: frame.header.remark.unwrap_or_default(),
            }),
        }
    }
}

impl Reply<'_> {
    pub(super) fn version(&self) -> Version {
        self.frame.header.version
    }

    pub(super) fn answer<T>(&self, value: T) -> Answer<T> {
        Answer { version: self.version(), value }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.frame.header.ext_fields.get(name).map(String::as_str)
    }

    pub(super) fn body(&self) -> Bytes {
        self.frame.body.clone()
    }

    pub(super) fn has_body(&self) -> bool {
        !self.frame.body.is_empty()
    }

    /// The body as text.
    pub(super) fn text(&self) -> Result<&str, RemotingError> {
        std::str::from_utf8(&self.frame.body).map_err(|_| self.malformed("body is not UTF-8"))
    }

    /// The body as a value of RocketMQ's JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, RemotingError> {
        self.read(&self.frame.body)
    }

    /// Any bytes of this answer as a value of RocketMQ's JSON.
    pub(super) fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, RemotingError> {
        let value: Value = json::parse(bytes).map_err(|error| self.malformed(error))?;
        serde_json::from_value(value).map_err(|error| self.malformed(error))
    }

    pub(super) fn malformed(&self, reason: impl ToString) -> RemotingError {
        RemotingError::Malformed {
            address: self.client.address().to_owned(),
            request: self.request,
            reason: reason.to_string(),
        }
    }
}

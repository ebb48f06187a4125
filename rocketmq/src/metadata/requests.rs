//! Tables of a broker by request, where they are small enough to be held whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::metadata::Subscription;
use crate::metadata::walk::{self, WalkError};
use crate::remoting::client::{Answer, Client};
use crate::remoting::error::RemotingError;
use crate::remoting::request_code::RequestCode;

impl Client {
    /// How every group asks for the messages of each topic, each entry whole. To be sent to brokers of 5.0.0 and later
    /// only: 4.x does not answer.
    ///
    /// Source: as [`Client::message_request_modes_body`].
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn message_request_modes(
        &self,
    ) -> Result<Answer<BTreeMap<Subscription, Map<String, Value>>>, RemotingError> {
        let answer = self.message_request_modes_body().await?;
        let mut modes = BTreeMap::new();
        let walked: Result<(), WalkError> = walk::request_modes(&answer.value, |subscription, mode| {
            modes.insert(subscription, mode);
            Ok(())
        });
        walked.map_err(|error| self.unreadable(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE, &error))?;
        Ok(answer.map(|_| modes))
    }

    /// How far every group has come in each queue of its topics.
    ///
    /// Source: as [`Client::consumer_offsets_body`].
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn consumer_offsets(
        &self,
    ) -> Result<Answer<BTreeMap<Subscription, BTreeMap<u32, i64>>>, RemotingError> {
        let answer = self.consumer_offsets_body().await?;
        let mut offsets = BTreeMap::new();
        let walked: Result<(), WalkError> = walk::offsets(&answer.value, |subscription, queues| {
            offsets.insert(subscription, queues);
            Ok(())
        });
        walked.map_err(|error| self.unreadable(RequestCode::GET_ALL_CONSUMER_OFFSET, &error))?;
        Ok(answer.map(|_| offsets))
    }

    fn unreadable(&self, request: RequestCode, error: &WalkError) -> RemotingError {
        RemotingError::Malformed { address: self.address().to_owned(), request, reason: error.to_string() }
    }
}

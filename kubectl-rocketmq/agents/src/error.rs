//! Why an agent could not be asked, or refused.

use proto::ProtocolRange;
use proto::convert::InvalidMessage;
use rocketmq::text::printable;
use tonic::{Code, Status};

/// How much of a text from an agent an error carries. An agent's own messages are a sentence or two.
const TEXT_LIMIT: usize = 1_000;

/// Why an agent could not be asked, or what it answered instead.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no connection to it, or it was lost during a call, which may have had its effect.
    #[error("agent of pod `{pod}` cannot be reached")]
    Lost {
        /// The pod.
        pod: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It did not answer in time; the call may have had its effect.
    #[error("agent of pod `{pod}` did not answer `{call}` within {seconds}s")]
    Slow {
        /// The pod.
        pod: String,
        /// What was asked.
        call: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// It refused, or could not do what was asked.
    #[error("agent of pod `{pod}` cannot answer `{call}`: {message}")]
    Answered {
        /// The pod.
        pod: String,
        /// What was asked.
        call: &'static str,
        /// gRPC's word for the kind of error.
        code: Code,
        /// In the agent's words.
        message: String,
    },
    /// It serves no such call.
    #[error(
        "agent of pod `{pod}` does not know the call `{call}`: it is of another version than this kubectl rocketmq, as \
         `kubectl rocketmq version` shows"
    )]
    Unknown {
        /// The pod.
        pod: String,
        /// What was asked.
        call: &'static str,
    },
    /// It answered what the protocol does not allow.
    #[error("agent of pod `{pod}` answered `{call}` with something else than the protocol says")]
    Invalid {
        /// The pod.
        pod: String,
        /// What was asked.
        call: &'static str,
        /// What.
        #[source]
        source: InvalidMessage,
    },
    /// Its answer is larger than anything that a cluster can hold.
    #[error("agent of pod `{pod}` answered `{call}` with more than {limit} rows")]
    TooLarge {
        /// The pod.
        pod: String,
        /// What was asked.
        call: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The bytes of a bundle are not those that were announced.
    #[error("the bundle of the agent of pod `{pod}` is damaged: {what}")]
    Damaged {
        /// The pod.
        pod: String,
        /// How it shows.
        what: String,
    },
    /// The agent of another pod answered.
    #[error("the agent that answers for pod `{pod}` belongs to another pod; it was made anew a moment ago")]
    OtherPod {
        /// The pod that was meant.
        pod: String,
    },
    /// The two sides have no version of the protocol in common.
    #[error(
        "agent {agent_version} of pod `{pod}` speaks protocol {theirs}, this version of kubectl rocketmq speaks {ours}"
    )]
    Protocol {
        /// The pod.
        pod: String,
        /// The agent's version.
        agent_version: String,
        /// What the agent speaks.
        theirs: ProtocolRange,
        /// What this build speaks.
        ours: ProtocolRange,
    },
    /// A change was asked of an agent that has not proved itself.
    #[error("nothing is changed through the agent of pod `{pod}`: {reason}")]
    Unproved {
        /// The pod.
        pod: String,
        /// Why it is not proved.
        reason: String,
    },
    /// This machine gives no random bytes for the proof.
    #[error(transparent)]
    NoRandomness(#[from] proto::proof::NoRandomness),
}

impl AgentError {
    /// True when a new connection may succeed where this one failed.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    pub(crate) fn from_status(pod: &str, call: &'static str, seconds: u64, status: Status) -> Self {
        // A status that the agent sent has no source; one that the transport made up has.
        if std::error::Error::source(&status).is_some() {
            return Self::Lost { pod: pod.to_owned(), source: Box::new(Transport::of(&status)) };
        }
        let pod = pod.to_owned();
        match status.code() {
            Code::DeadlineExceeded => Self::Slow { pod, call, seconds },
            Code::Unimplemented => Self::Unknown { pod, call },
            code => Self::Answered { pod, call, code, message: bounded(status.message()) },
        }
    }
}

/// What the transport said, one line a cause.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Transport(String);

impl Transport {
    /// The innermost cause says most; what stands around it names only the layers.
    fn of(status: &Status) -> Self {
        let mut cause: &dyn std::error::Error = status;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self(bounded(&cause.to_string()))
    }
}

/// A text of an agent, bounded, without control characters.
pub(crate) fn bounded(text: &str) -> String {
    let text: String = text.chars().take(TEXT_LIMIT).collect();
    printable(&text).into_owned()
}

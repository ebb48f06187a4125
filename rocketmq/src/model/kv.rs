//! The KV configuration that each name server keeps for itself.

use serde::{Deserialize, Serialize};

/// One entry, for example an order configuration in the namespace [`ORDER_TOPIC_CONFIG`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KvEntry {
    /// The namespace; no request lists them.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Queues of ordered topics; brokers get this namespace in the answer to their registration
/// (`NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG`, all tags).
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

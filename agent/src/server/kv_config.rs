//! The KV configuration of the name server beside the agent, from the file that it keeps on the volume
//! (`KVConfigManager.persist`, all tags): no request lists the namespaces.

use std::collections::BTreeMap;
use std::path::Path;

use rocketmq::model::kv::KvEntry;
use rocketmq::remoting::json;
use rocketmq::text::error_line;
use serde::Deserialize;

use crate::atomic_file;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(default)]
    config_table: BTreeMap<String, BTreeMap<String, String>>,
}

/// Every entry, in order; none if the name server never stored any. An error is in words.
pub fn stored(file: &Path) -> Result<Vec<KvEntry>, String> {
    let Some(content) = atomic_file::read(file).map_err(|error| error_line(&error))? else {
        return Ok(Vec::new());
    };
    let unreadable = |reason: String| format!("{} is not a KV configuration: {reason}", file.display());
    let value = json::parse(&content).map_err(|error| unreadable(error.to_string()))?;
    let stored: Stored = serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
    let entries = stored.config_table.into_iter().flat_map(|(namespace, entries)| {
        entries.into_iter().map(move |(key, value)| KvEntry { namespace: namespace.clone(), key, value })
    });
    Ok(entries.collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_namespace_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kvConfig.json");
        assert_eq!(stored(&file), Ok(Vec::new()), "none was stored yet");
        fs::write(
            &file,
            r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"orders":"b-0:4;b-1:4"},"mine":{"k":"ü"}}}"#,
        )
        .unwrap();
        let entry = |namespace: &str, key: &str, value: &str| KvEntry {
            namespace: namespace.into(),
            key: key.into(),
            value: value.into(),
        };
        assert_eq!(
            stored(&file),
            Ok(vec![entry("ORDER_TOPIC_CONFIG", "orders", "b-0:4;b-1:4"), entry("mine", "k", "ü")])
        );
        fs::write(&file, "half a fi").unwrap();
        assert!(stored(&file).unwrap_err().contains("is not a KV configuration"));
    }
}

//! What an agent remembers across restarts: the highest fence, the list with the highest generation, and how far the
//! metadata of its broker are, in one file on its volume. It is stamped with the cluster's key, so a volume that meets
//! another cluster starts at nothing. Bridges are not remembered: their loop finds them by looking.

use std::path::PathBuf;

use proto::proof::ClusterKey;
use rocketmq::model::name_server::NameServerList;
use rocketmq::model::permission::Permission;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use crate::atomic_file::{self, FileError};

/// The state of an agent.
#[derive(Debug)]
pub struct State {
    file: PathBuf,
    stored: Mutex<Stored>,
    desired: watch::Sender<Option<NameServerList>>,
    fence: watch::Sender<u64>,
    metadata: watch::Sender<MetadataRecord>,
}

/// How far the metadata of a broker are, and what clients may do with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetadataRecord {
    /// The token that was committed last; empty when none was.
    pub committed: String,
    /// The token whose files are being put into the store; empty outside of that.
    pub importing: String,
    /// True once clients may have written to the store. Until then nothing but what was imported lies in it.
    pub opened: bool,
    /// `brokerPermission`, which is kept in the file over restarts; `None` leaves it to the user.
    pub permission: Option<Permission>,
}

impl MetadataRecord {
    /// True if nothing but what an agent imported lies in the store, so that it can be removed.
    pub fn store_is_only_imported(&self) -> bool {
        let imported = !self.committed.is_empty() || !self.importing.is_empty();
        imported && !self.opened
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    /// [`ClusterKey::stamp`]; empty if it was written without a key.
    stamp: String,
    fence: u64,
    operation_id: String,
    list: Option<NameServerList>,
    #[serde(default)]
    metadata: MetadataRecord,
}

/// Why something was not taken into the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// An operation with a higher fence was here: the caller has lost its Lease.
    #[error("operation `{caller}` has fence {number}, but operation `{holder}` came with {highest}")]
    Fenced {
        /// The operation that calls.
        caller: String,
        /// Its fence.
        number: u64,
        /// The operation with the highest fence.
        holder: String,
        /// The highest fence.
        highest: u64,
    },
    /// The list is older than the one that is obeyed, or another of the same generation.
    #[error("the list has generation {offered}, but the agent obeys another of generation {obeyed}")]
    Outdated {
        /// The generation of the list that came.
        offered: u64,
        /// The generation of the list that is obeyed.
        obeyed: u64,
    },
    /// The list names nobody; a broker without name servers would leave every route.
    #[error("the list has no name servers")]
    Empty,
    /// The state could not be stored.
    #[error("the agent's state cannot be stored")]
    NotStored(#[source] FileError),
}

impl State {
    /// A state that is not loaded yet.
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            stored: Mutex::default(),
            desired: watch::Sender::new(None),
            fence: watch::Sender::new(0),
            metadata: watch::Sender::default(),
        }
    }

    /// Reads what an earlier agent stored. Without a key the state is taken as it is: the pod must start, and
    /// nobody can change it.
    pub async fn load(&self, key: Option<&ClusterKey>) -> Result<(), FileError> {
        let mut stored = self.stored.lock().await;
        let found = atomic_file::read(&self.file)?
            .and_then(|content| match serde_json::from_slice::<Stored>(&content) {
                Ok(found) => Some(found),
                Err(error) => {
                    tracing::warn!(file = %self.file.display(), %error, "the stored state is unreadable, starting at none");
                    None
                }
            })
            .unwrap_or_default();
        *stored = match key {
            Some(key) => of_cluster(&found, key),
            None => found,
        };
        self.publish(&stored);
        Ok(())
    }

    /// Admits a changing call, if no operation with a higher fence was here. The fence is on disk when this
    /// returns.
    pub async fn admit(&self, key: &ClusterKey, operation_id: &str, number: u64) -> Result<(), StateError> {
        let mut stored = self.stored.lock().await;
        let former = of_cluster(&stored, key);
        if number < former.fence {
            return Err(StateError::Fenced {
                caller: operation_id.to_owned(),
                number,
                holder: former.operation_id,
                highest: former.fence,
            });
        }
        if number == former.fence && operation_id == former.operation_id && former == *stored {
            return Ok(());
        }
        let next = Stored { fence: number, operation_id: operation_id.to_owned(), ..former };
        self.store(&mut stored, next).await
    }

    /// Makes a list the desired one if its generation is the highest seen. The same list again is fine.
    pub async fn obey(&self, key: Option<&ClusterKey>, list: &NameServerList) -> Result<(), StateError> {
        let mut stored = self.stored.lock().await;
        let Some(next) = next(&stored, key, list)? else { return Ok(()) };
        self.store(&mut stored, next).await
    }

    /// As [`State::obey`], for a list that is durable elsewhere: it is obeyed even if it cannot be stored here.
    pub async fn obey_mounted(
        &self,
        key: Option<&ClusterKey>,
        list: &NameServerList,
    ) -> Result<(), StateError> {
        let mut stored = self.stored.lock().await;
        let Some(next) = next(&stored, key, list)? else { return Ok(()) };
        if let Err(error) = self.store(&mut stored, next.clone()).await {
            *stored = next;
            self.publish(&stored);
            return Err(error);
        }
        Ok(())
    }

    /// Changes what is remembered of the broker's metadata. It is on disk when this returns.
    pub async fn record_metadata(
        &self,
        key: Option<&ClusterKey>,
        change: impl FnOnce(&mut MetadataRecord),
    ) -> Result<(), StateError> {
        let mut stored = self.stored.lock().await;
        let mut next = key.map_or_else(|| stored.clone(), |key| of_cluster(&stored, key));
        change(&mut next.metadata);
        if next == *stored {
            return Ok(());
        }
        self.store(&mut stored, next).await
    }

    /// What is remembered of the broker's metadata.
    pub fn metadata(&self) -> MetadataRecord {
        self.metadata.borrow().clone()
    }

    /// The list that is obeyed, and its changes.
    pub fn desired(&self) -> watch::Receiver<Option<NameServerList>> {
        self.desired.subscribe()
    }

    /// The highest fence seen.
    pub fn highest_fence(&self) -> u64 {
        *self.fence.borrow()
    }

    async fn store(&self, stored: &mut Stored, next: Stored) -> Result<(), StateError> {
        let content = serde_json::to_vec(&next).unwrap_or_default();
        atomic_file::write(&self.file, content, 0o600).await.map_err(StateError::NotStored)?;
        *stored = next;
        self.publish(stored);
        Ok(())
    }

    fn publish(&self, stored: &Stored) {
        self.fence.send_replace(stored.fence);
        self.metadata.send_replace(stored.metadata.clone());
        self.desired.send_if_modified(|desired| {
            let changed = *desired != stored.list;
            desired.clone_from(&stored.list);
            changed
        });
    }
}

/// The state as far as it belongs to the cluster of `key`. What was stored before the key was mounted does: it
/// came from the record beside it.
fn of_cluster(stored: &Stored, key: &ClusterKey) -> Stored {
    let stamp = key.stamp();
    if stored.stamp == stamp || stored.stamp.is_empty() {
        Stored { stamp, ..stored.clone() }
    } else {
        Stored { stamp, ..Stored::default() }
    }
}

/// The state with `list`; `None` if it has it already.
fn next(
    stored: &Stored,
    key: Option<&ClusterKey>,
    list: &NameServerList,
) -> Result<Option<Stored>, StateError> {
    if list.name_servers.is_empty() {
        return Err(StateError::Empty);
    }
    let former = key.map_or_else(|| stored.clone(), |key| of_cluster(stored, key));
    match &former.list {
        Some(obeyed) if obeyed == list => Ok(None),
        Some(obeyed) if obeyed.generation >= list.generation => {
            Err(StateError::Outdated { offered: list.generation, obeyed: obeyed.generation })
        }
        _ => Ok(Some(Stored { list: Some(list.clone()), ..former })),
    }
}

#[cfg(test)]
mod tests {
    use rocketmq::model::name_server::NameServerEntry;

    use super::*;

    fn key(byte: u8) -> ClusterKey {
        ClusterKey::from_bytes([byte; 32]).unwrap()
    }

    fn list(generation: u64, address: &str) -> NameServerList {
        let entry = NameServerEntry { address: address.into(), pod_ip: String::new() };
        NameServerList { generation, name_servers: vec![entry] }
    }

    struct Volume(tempfile::TempDir);

    impl Volume {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        async fn agent(&self, key: Option<&ClusterKey>) -> State {
            let state = State::new(self.0.path().join("state.json"));
            state.load(key).await.unwrap();
            state
        }
    }

    fn desired(state: &State) -> Option<NameServerList> {
        state.desired().borrow().clone()
    }

    #[tokio::test]
    async fn the_highest_generation_wins_and_outlives_the_agent() {
        let (volume, key) = (Volume::new(), key(1));
        let state = volume.agent(Some(&key)).await;
        state.obey(Some(&key), &list(5, "a:1")).await.unwrap();
        state.obey(Some(&key), &list(5, "a:1")).await.unwrap();
        for (generation, address) in [(4, "b:1"), (5, "b:1")] {
            let refused = state.obey(Some(&key), &list(generation, address)).await.unwrap_err();
            assert!(matches!(refused, StateError::Outdated { obeyed: 5, .. }), "{refused}");
        }
        assert_eq!(desired(&volume.agent(Some(&key)).await), Some(list(5, "a:1")));
    }

    #[tokio::test]
    async fn what_is_remembered_of_metadata_outlives_the_agent_but_not_the_cluster() {
        let (volume, key) = (Volume::new(), key(1));
        let record = MetadataRecord {
            committed: "1a2b3c4d".into(),
            permission: Some(Permission::READ),
            ..MetadataRecord::default()
        };
        let state = volume.agent(Some(&key)).await;
        state.record_metadata(Some(&key), |it| *it = record.clone()).await.unwrap();
        state.admit(&key, "op-1", 7).await.unwrap();
        assert_eq!(volume.agent(Some(&key)).await.metadata(), record);
        let other = ClusterKey::from_bytes([2; 32]).unwrap();
        assert_eq!(volume.agent(Some(&other)).await.metadata(), MetadataRecord::default());
    }

    #[tokio::test]
    async fn a_state_of_an_agent_that_knew_no_metadata_is_read() {
        let volume = Volume::new();
        let former = r#"{"stamp":"","fence":7,"operationId":"op-1","list":null}"#;
        std::fs::write(volume.0.path().join("state.json"), former).unwrap();
        let state = volume.agent(None).await;
        assert_eq!((state.highest_fence(), state.metadata()), (7, MetadataRecord::default()));
    }

    #[test]
    fn a_store_is_only_imported_until_somebody_may_have_written_to_it() {
        let check = |committed: &str, importing: &str, opened, expect| {
            let record = MetadataRecord {
                committed: committed.into(),
                importing: importing.into(),
                opened,
                permission: None,
            };
            assert_eq!(record.store_is_only_imported(), expect, "{record:?}");
        };
        check("", "", false, false);
        check("1a2b3c4d", "", false, true);
        check("", "1a2b3c4d", false, true);
        check("1a2b3c4d", "", true, false);
        check("1a2b3c4d", "99999999", true, false);
    }

    #[tokio::test]
    async fn an_empty_list_is_never_obeyed() {
        let state = Volume::new().agent(None).await;
        let empty = NameServerList { generation: 9, name_servers: Vec::new() };
        assert!(matches!(state.obey(None, &empty).await, Err(StateError::Empty)));
    }

    #[tokio::test]
    async fn a_lower_fence_is_refused_also_by_the_next_agent() {
        let (volume, key) = (Volume::new(), key(1));
        volume.agent(Some(&key)).await.admit(&key, "op-2", 7).await.unwrap();
        let state = volume.agent(Some(&key)).await;
        assert_eq!(state.highest_fence(), 7);
        let refused = state.admit(&key, "op-1", 6).await.unwrap_err();
        assert_eq!(refused.to_string(), "operation `op-1` has fence 6, but operation `op-2` came with 7");
        state.admit(&key, "op-2", 7).await.unwrap();
        state.admit(&key, "op-3", 8).await.unwrap();
    }

    #[tokio::test]
    async fn a_volume_of_another_cluster_starts_at_nothing() {
        let volume = Volume::new();
        let state = volume.agent(Some(&key(1))).await;
        state.admit(&key(1), "op-1", 7).await.unwrap();
        state.obey(Some(&key(1)), &list(5, "a:1")).await.unwrap();

        let other = volume.agent(Some(&key(2))).await;
        assert_eq!((other.highest_fence(), desired(&other)), (0, None));
        other.obey(Some(&key(2)), &list(1, "b:1")).await.unwrap();
        other.admit(&key(2), "op-9", 1).await.unwrap();
        let again = volume.agent(Some(&key(2))).await;
        assert_eq!((again.highest_fence(), desired(&again)), (1, Some(list(1, "b:1"))));
    }

    #[tokio::test]
    async fn without_a_key_the_stored_list_is_obeyed() {
        let volume = Volume::new();
        volume.agent(Some(&key(1))).await.obey(Some(&key(1)), &list(5, "a:1")).await.unwrap();
        let state = volume.agent(None).await;
        assert_eq!(desired(&state), Some(list(5, "a:1")));
        state.obey(None, &list(6, "b:1")).await.unwrap();
        assert_eq!(desired(&volume.agent(Some(&key(1))).await), Some(list(6, "b:1")), "its stamp stayed");
    }

    #[tokio::test]
    async fn a_key_that_is_mounted_later_keeps_the_list() {
        let volume = Volume::new();
        let state = volume.agent(None).await;
        state.obey(None, &list(5, "a:1")).await.unwrap();
        state.admit(&key(1), "op-1", 1).await.unwrap();
        assert_eq!(desired(&state), Some(list(5, "a:1")));
    }

    #[tokio::test]
    async fn a_mounted_list_is_obeyed_even_on_a_full_volume() {
        let state = State::new("/nonexistent/state.json".into());
        assert!(matches!(state.obey(None, &list(1, "a:1")).await, Err(StateError::NotStored(_))));
        assert_eq!(desired(&state), None);
        assert!(matches!(state.obey_mounted(None, &list(1, "a:1")).await, Err(StateError::NotStored(_))));
        assert_eq!(desired(&state), Some(list(1, "a:1")));
    }
}

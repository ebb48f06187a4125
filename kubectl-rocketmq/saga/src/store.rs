//! Where journals are kept.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::journal::{Entry, Header, Journal};

/// Which state of a stored journal somebody has seen; opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(pub String);

/// A journal as it was stored at a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The journal.
    pub journal: Journal,
    /// Its revision.
    pub revision: Revision,
}

/// A journal in a list; one that this version cannot read is listed with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The operation's id.
    pub id: String,
    /// The journal, or why it cannot be read.
    pub journal: Result<Journal, String>,
}

/// Why a journal could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is one of that id already.
    #[error("operation `{id}` exists already")]
    Exists {
        /// The operation.
        id: String,
    },
    /// Somebody else has written it since it was read.
    #[error("somebody else has written the journal of operation `{id}`")]
    Conflict {
        /// The operation.
        id: String,
    },
    /// What is stored cannot be read.
    #[error("the journal of operation `{id}` cannot be read: {reason}")]
    Unreadable {
        /// The operation.
        id: String,
        /// Why.
        reason: String,
    },
    /// The store did not answer, or refused.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// Why, outermost first.
        causes: Vec<String>,
    },
}

/// A store of journals. What it has acknowledged is durable.
pub trait JournalStore: Send + Sync {
    /// Stores the journal of an operation that has not begun.
    fn create(&self, header: &Header) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Adds the event of a number (from 0) to a journal that is still at `revision`.
    fn append(
        &self,
        id: &str,
        revision: &Revision,
        number: usize,
        entry: &Entry,
    ) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Reads a journal; `None` if there is none of that id.
    fn load(&self, id: &str) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Reads the journals of a cluster, or of all, oldest first.
    fn list(&self, cluster: Option<&str>) -> impl Future<Output = Result<Vec<Listed>, StoreError>> + Send;
}

/// Journals in memory, for tests; stored as JSON, so that what does not survive it is found. A clone is the same
/// store.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournals {
    journals: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl JournalStore for MemoryJournals {
    async fn create(&self, header: &Header) -> Result<Revision, StoreError> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        if journals.contains_key(&header.id) {
            return Err(StoreError::Exists { id: header.id.clone() });
        }
        journals.insert(header.id.clone(), vec![to_json(&header.id, header)?]);
        Ok(Revision("1".to_owned()))
    }

    async fn append(
        &self,
        id: &str,
        revision: &Revision,
        number: usize,
        entry: &Entry,
    ) -> Result<Revision, StoreError> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = journals.get_mut(id).ok_or_else(|| StoreError::Conflict { id: id.to_owned() })?;
        if lines.len().to_string() != revision.0 || lines.len() != number + 1 {
            return Err(StoreError::Conflict { id: id.to_owned() });
        }
        lines.push(to_json(id, entry)?);
        Ok(Revision(lines.len().to_string()))
    }

    async fn load(&self, id: &str) -> Result<Option<Stored>, StoreError> {
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let Some([header, entries @ ..]) = journals.get(id).map(Vec::as_slice) else { return Ok(None) };
        let journal =
            read(header, entries).map_err(|reason| StoreError::Unreadable { id: id.to_owned(), reason })?;
        Ok(Some(Stored { journal, revision: Revision((entries.len() + 1).to_string()) }))
    }

    async fn list(&self, cluster: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut listed = Vec::new();
        for (id, lines) in journals.iter() {
            let [header, entries @ ..] = lines.as_slice() else { continue };
            let journal = read(header, entries);
            if cluster.is_none_or(|cluster| {
                journal.as_ref().is_ok_and(|journal| journal.header().cluster == cluster)
            }) {
                listed.push(Listed { id: id.clone(), journal });
            }
        }
        Ok(listed)
    }
}

fn read(header: &str, entries: &[String]) -> Result<Journal, String> {
    let header = serde_json::from_str(header).map_err(|error| error.to_string())?;
    let entries = entries
        .iter()
        .map(|entry| serde_json::from_str(entry))
        .collect::<Result<Vec<Entry>, _>>()
        .map_err(|error| error.to_string())?;
    Journal::replay(header, entries).map_err(|error| error.to_string())
}

fn to_json<T: serde::Serialize>(id: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unreadable { id: id.to_owned(), reason: error.to_string() })
}

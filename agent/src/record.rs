//! Follows the desired list in the mounted record. The kubelet shows a changed ConfigMap by swapping a symlink, so
//! the file is looked at again by its name.

use std::path::Path;
use std::sync::Arc;

use rocketmq::model::name_server::NameServerList;

use crate::config::Config;
use crate::state::{State, StateError};
use crate::{atomic_file, key};

/// Offers each content of the mounted record to the state, for ever.
pub async fn follow(config: Arc<Config>, state: Arc<State>) {
    let mut former = None;
    loop {
        if let Some(list) = changed(&config.paths.record, &mut former) {
            obey(&config, &state, &list).await;
        }
        tokio::time::sleep(config.pace.files).await;
    }
}

async fn obey(config: &Config, state: &State, list: &NameServerList) {
    match state.obey_mounted(key::mounted(&config.paths.key).as_ref(), list).await {
        Ok(()) => tracing::info!(
            generation = list.generation,
            list = list.namesrv_addr(),
            "the record's list is obeyed"
        ),
        // The mount lags behind `Control` by up to a minute.
        Err(error @ StateError::Outdated { .. }) => tracing::debug!(%error, "the record's list is not new"),
        Err(error) => {
            tracing::warn!(%error, reason = ?std::error::Error::source(&error), "the record's list")
        }
    }
}

/// The list, if the content is another than `former`, which it becomes.
fn changed(file: &Path, former: &mut Option<Vec<u8>>) -> Option<NameServerList> {
    let content = match atomic_file::read(file) {
        Ok(content) => content?,
        Err(error) => {
            tracing::debug!(%error, "the mounted record");
            return None;
        }
    };
    if former.as_ref() == Some(&content) {
        return None;
    }
    let list = serde_json::from_slice(&content);
    *former = Some(content);
    list.inspect_err(|error| tracing::warn!(%error, "the record's list is unreadable and not obeyed")).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_swapped_symlink_is_seen_and_an_unreadable_list_is_not_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let mount = |data: &str, content: &str| {
            fs::create_dir(folder.path().join(data)).unwrap();
            fs::write(folder.path().join(data).join("name-servers"), content).unwrap();
            symlink(data, folder.path().join("..new")).unwrap();
            fs::rename(folder.path().join("..new"), folder.path().join("..data")).unwrap();
        };
        let file = folder.path().join("name-servers");
        symlink("..data/name-servers", &file).unwrap();
        let mut former = None;

        assert_eq!(changed(&file, &mut former), None, "nothing is mounted");
        mount("1", r#"{"generation":1,"list":[{"address":"a:9876","podIP":""}]}"#);
        assert_eq!(changed(&file, &mut former).unwrap().generation, 1);
        assert_eq!(changed(&file, &mut former), None, "the same again");
        mount("2", "half a li");
        assert_eq!(changed(&file, &mut former), None);
        mount("3", r#"{"generation":2,"list":[{"address":"a:9876"}]}"#);
        assert_eq!(changed(&file, &mut former).unwrap().generation, 2);
    }
}

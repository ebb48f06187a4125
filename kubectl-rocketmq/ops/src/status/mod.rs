//! The status page: every fact of a cluster at one moment, each member asked in parallel with its own deadline.
//! What could not be read is shown as such.

mod checks;
mod gather;
mod page;
mod report;
#[cfg(test)]
mod tests;

use futures::future::try_join_all;
use jiff::Timestamp;

use crate::error::OpsError;
use crate::history;
use crate::live::Unproved;
use crate::operations::known::Known;
use crate::report::API_VERSION;
use crate::session::Session;
use crate::status::gather::gather;
use crate::status::page::{Moment, page};

pub use report::*;

/// The page of one cluster, by the name of its NameService or of one of its brokers; `None` = the only cluster.
///
/// # Errors
/// `Failed` when there is no such cluster, or nothing can be read.
pub async fn collect(session: &Session, name: Option<&str>) -> Result<StatusReport, OpsError> {
    let known = Known::all(&session.world(Unproved::Marked)).await?;
    let found = match name {
        Some(name) => known.iter().find(|known| goes_by(known, name)),
        None => Some(known.as_slice()).filter(|known| known.len() == 1).and_then(<[Known]>::first),
    };
    match found {
        Some(found) => one(session, found).await,
        None => Err(not_one(session.namespace(), name, &known)),
    }
}

/// The pages of every cluster of the namespace, or of all namespaces.
///
/// # Errors
/// `Failed` when they cannot be listed or read.
pub async fn collect_all(session: &Session, all_namespaces: bool) -> Result<StatusList, OpsError> {
    let namespaces =
        if all_namespaces { session.namespaces().await? } else { vec![session.namespace().to_owned()] };
    let mut items = Vec::new();
    for namespace in namespaces {
        let session = session.in_namespace(&namespace);
        let known = Known::all(&session.world(Unproved::Marked)).await?;
        items.extend(try_join_all(known.iter().map(|known| one(&session, known))).await?);
    }
    Ok(StatusList { api_version: API_VERSION, kind: "StatusList", items })
}

async fn one(session: &Session, known: &Known) -> Result<StatusReport, OpsError> {
    let world = session.world(Unproved::Marked);
    #[expect(clippy::disallowed_methods, reason = "ages on the page, and how long it took")]
    let (now, start) = (Timestamp::now(), tokio::time::Instant::now());
    let facts = gather(&world, known).await?;
    // A journal that may not be read does not keep the rest of the page away.
    let journals = history::journals(session, Some(known.cluster())).await;
    let journals = journals.inspect_err(|error| tracing::debug!(%error)).unwrap_or_default();
    let holder = session.holders().await.remove(known.cluster()).map(|(holder, _)| holder);
    let moment = Moment {
        now,
        took_millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        operation: history::operation_line(&journals, holder),
    };
    Ok(page(known, &facts, moment))
}

fn goes_by(known: &Known, name: &str) -> bool {
    known.cluster() == name || known.brokers.iter().any(|broker| broker.name() == name)
}

fn not_one(namespace: &str, name: Option<&str>, known: &[Known]) -> OpsError {
    let error = OpsError::failed(match name {
        Some(name) => format!("there is no cluster `{name}` in namespace `{namespace}`"),
        None if known.is_empty() => format!("there is no cluster in namespace `{namespace}`"),
        None => format!("namespace `{namespace}` has {} clusters", known.len()),
    });
    let names: Vec<&str> = known.iter().map(Known::cluster).collect();
    if names.is_empty() {
        error.hint("kubectl rocketmq status -A")
    } else {
        error.hint(format!("say which: {}", names.join(", ")))
    }
}

//! Which members of which groups hold the queues of the broker, and of others: a new broker is opened to producers when
//! every queue of its topics has a reader, and one that leaves is stopped when nobody holds a queue of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, future, stream};
use proto::describe::{Holding, OnlineGroup};
use rocketmq::metadata::{keeps_group, walk};
use rocketmq::model::route::MessageQueue;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::requests::consumers::ConsumerConnections;

use crate::metadata::TABLE_DEADLINE;
use crate::metadata::subscriptions::{ASKED_AT_ONCE, TableError, groups, off_the_runtime};

/// A client that does not answer the broker in this time counts as silent. The broker itself would wait for 10 s.
const CLIENT_DEADLINE: Duration = Duration::from_secs(5);

/// Every group of which somebody is online, in order. RocketMQ's own tools hold no queues and are left out.
pub async fn online(client: &Client, broker_name: &str) -> Result<Vec<OnlineGroup>, TableError> {
    let client = &client.with_deadline(TABLE_DEADLINE);
    let readable = readable_queues(client).await?;
    let names = groups(client).await?.into_iter().filter(|group| keeps_group(group));
    let asked = stream::iter(names).map(|group| async {
        let connections = client.consumer_connections(&group).await?.value;
        let Some(connections) = connections else { return Ok(None) };
        Ok::<_, RemotingError>(Some(look_at(client, broker_name, &readable, group, connections).await))
    });
    let mut online: Vec<OnlineGroup> =
        asked.buffer_unordered(ASKED_AT_ONCE).try_filter_map(future::ok).try_collect().await?;
    online.sort_by(|one, other| one.group.cmp(&other.group));
    Ok(online)
}

/// How many queues of each topic of the broker can be read.
async fn readable_queues(client: &Client) -> Result<BTreeMap<String, u32>, TableError> {
    let body = client.all_topic_config_body().await?.value;
    off_the_runtime(move || {
        let mut readable = BTreeMap::new();
        walk::topics(&body, |topic| {
            if topic.perm.is_readable() {
                readable.insert(topic.topic_name, topic.read_queues);
            }
            Ok::<_, TableError>(())
        })?;
        Ok(readable)
    })
    .await
}

async fn look_at(
    client: &Client,
    broker_name: &str,
    readable: &BTreeMap<String, u32>,
    group: String,
    connections: ConsumerConnections,
) -> OnlineGroup {
    let mut clients: Vec<String> = connections.members.into_iter().map(|member| member.client_id).collect();
    clients.sort();
    clients.dedup();
    let impatient = &client.with_deadline(CLIENT_DEADLINE);
    let asked = clients.iter().map(|id| impatient.consumer_running_info(&group, id));
    let (mut silent_clients, mut holdings, mut held) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (id, answer) in clients.iter().zip(future::join_all(asked).await) {
        match answer {
            // It reads what it wants, and does not say so.
            Ok(answer) if connections.pulls && answer.value.is_empty() => silent_clients.push(id.clone()),
            Ok(answer) => {
                holdings.push(holding(id, &answer.value));
                held.extend(answer.value);
            }
            Err(error) => {
                tracing::debug!(group, client = id, %error, "a client does not say what it holds");
                silent_clients.push(id.clone());
            }
        }
    }
    // Where each member reads every queue as soon as it knows it, nothing is divided.
    let unheld_queues = match connections.broadcasting {
        true => Vec::new(),
        false => unheld(broker_name, readable, connections.subscriptions.keys(), &held),
    };
    OnlineGroup { group, clients, silent_clients, unheld_queues, holdings }
}

/// How many queues of each broker group a client holds.
fn holding(client: &str, queues: &[MessageQueue]) -> Holding {
    let mut queues_by_broker = BTreeMap::new();
    for queue in queues {
        *queues_by_broker.entry(queue.broker_name.clone()).or_default() += 1;
    }
    Holding { client: client.to_owned(), queues_by_broker }
}

/// `topic:queue` of each queue of this broker that is subscribed to and not held. A pop consumer holds number -1, which is
/// every queue of its topic.
fn unheld<'a>(
    broker_name: &str,
    readable: &BTreeMap<String, u32>,
    subscribed: impl Iterator<Item = &'a String>,
    held: &BTreeSet<MessageQueue>,
) -> Vec<String> {
    let holds = |topic: &str, queue_id: i32| {
        let queue = MessageQueue { topic: topic.to_owned(), broker_name: broker_name.to_owned(), queue_id };
        held.contains(&queue)
    };
    subscribed
        .filter_map(|topic| Some((topic, *readable.get(topic)?)))
        .filter(|(topic, _)| !holds(topic, -1))
        .flat_map(|(topic, queues)| (0..queues).map(move |queue| (topic, queue)))
        .filter(|(topic, queue)| !i32::try_from(*queue).is_ok_and(|queue| holds(topic, queue)))
        .map(|(topic, queue)| format!("{topic}:{queue}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_held_by_its_number_or_with_all_others_of_its_topic() {
        let readable =
            BTreeMap::from([("orders".to_owned(), 2), ("payments".to_owned(), 1), ("none".to_owned(), 0)]);
        let check = |held: &[(&str, &str, i32)], expect: &[&str]| {
            let queue = |(topic, broker_name, queue_id): &(&str, &str, i32)| MessageQueue {
                topic: (*topic).to_owned(),
                broker_name: (*broker_name).to_owned(),
                queue_id: *queue_id,
            };
            let subscribed = ["orders", "elsewhere", "payments", "none"].map(str::to_owned);
            let held = held.iter().map(queue).collect();
            assert_eq!(unheld("demo-2", &readable, subscribed.iter(), &held), expect);
        };
        check(&[], &["orders:0", "orders:1", "payments:0"]);
        check(&[("orders", "demo-2", 1), ("payments", "demo-2", 0)], &["orders:0"]);
        check(&[("orders", "demo-0", 0), ("orders", "demo-2", -1)], &["payments:0"]);
    }
}

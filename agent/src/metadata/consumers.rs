//! Which members of which groups hold the queues of the broker, and of others: a new broker is opened to producers when
//! every queue of its topics has a reader, and one that leaves is stopped when nobody holds a queue of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, future, stream};
use proto::describe::{Holding, OnlineGroup};
use rocketmq::metadata::{keeps_group, walk};
use rocketmq::model::route::MessageQueue;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::requests::consumers::{ConsumerConnection, ConsumerConnections};
use rocketmq::remoting::response_code::ResponseCode;
use tokio::time::{Instant, sleep};

use crate::metadata::TABLE_DEADLINE;
use crate::metadata::subscriptions::{ASKED_AT_ONCE, TableError, groups, off_the_runtime};

/// A client that does not answer the broker in this time counts as silent. The broker itself waits for 5 s (223) or 10 s
/// (307) (`Broker2Client`, all tags).
const CLIENT_DEADLINE: Duration = Duration::from_secs(6);

/// Clients that are asked at once. Until it answers, each takes one of the broker's 16 threads for such requests
/// (`BrokerConfig.adminBrokerThreadPoolNums`, all tags).
const CLIENTS_AT_ONCE: usize = 8;

/// Clients that are not asked or have not answered by then count as silent.
const ALL_WITHIN: Duration = Duration::from_secs(20);

/// The clients of Java, as they call their language.
const JAVA: &str = "JAVA";

/// How long a silent client is left alone: longer than its answer is waited for, unless clients learn of routes much more
/// rarely than they do by default.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(300);

/// What each client told of each group, by group and client; nothing where it does not answer.
type Answers = HashMap<(String, String), Answer>;

/// What a client told of a group.
#[derive(Debug)]
struct Answer {
    /// How many queues it holds at each broker group.
    holding: Holding,
    /// Those at this broker.
    here: Vec<MessageQueue>,
}

/// Who holds what, as the clients say themselves.
///
/// To tell which queues it holds (307), a client asks brokers for each offset that it does not know yet
/// (`DefaultMQPushConsumerImpl.consumerRunningInfo`, `RemoteBrokerOffsetStore.readOffset`). It does so on the threads that
/// hand its messages on, as many as it has processors (`NettyRemotingClient.publicExecutor`), and from 5.2.0 on the answers
/// need such a thread, too. Where all of them wait, each question costs 5 s: clients of 5.3.3 and 5.4.0 with one and with
/// two processors read nothing for minutes. Such a client is asked for the offsets that it knows (223), which it has in
/// memory. A queue that it has just taken may not be among them, until the first pull from it has ended.
///
/// Whatever it is asked, a client is asked about one group at a time, and no more once it was silent.
#[derive(Debug, Default)]
pub struct Consumers {
    /// The clients that were silent, and since when.
    silent: Mutex<HashMap<String, Instant>>,
}

impl Consumers {
    /// Every group of which somebody is online, in order.
    pub async fn online(&self, client: &Client, broker_name: &str) -> Result<Vec<OnlineGroup>, TableError> {
        let client = &client.with_deadline(TABLE_DEADLINE);
        let (readable, connected) = (readable_queues(client).await?, connected(client).await?);
        let answers = self.answers(client, broker_name, &connected).await;
        let told = |(group, connections)| told(broker_name, &readable, group, connections, &answers);
        Ok(connected.into_iter().map(told).collect())
    }

    async fn answers(
        &self,
        client: &Client,
        broker_name: &str,
        connected: &BTreeMap<String, ConsumerConnections>,
    ) -> Answers {
        let mut groups_of: BTreeMap<String, BTreeMap<String, Question>> = BTreeMap::new();
        for (group, connections) in connected {
            for member in &connections.members {
                let groups = groups_of.entry(member.client_id.clone()).or_default();
                groups.insert(group.clone(), Question::for_member(member));
            }
        }
        let impatient = &client.with_deadline(CLIENT_DEADLINE);
        let asked = stream::iter(groups_of).map(|(id, groups)| self.ask(impatient, broker_name, id, groups));
        let answers = asked.buffer_unordered(CLIENTS_AT_ONCE).map(stream::iter).flatten();
        answers.take_until(sleep(ALL_WITHIN)).collect().await
    }

    /// What a client holds in each of its groups, up to the first for which it is silent.
    async fn ask(
        &self,
        client: &Client,
        broker_name: &str,
        id: String,
        groups: BTreeMap<String, Question>,
    ) -> Vec<((String, String), Answer)> {
        let mut answers = Vec::new();
        if self.is_left_alone(&id) {
            return answers;
        }
        for (group, question) in groups {
            match question.ask(client, &group, &id).await {
                Ok(Some(mut queues)) => {
                    let holding = holding(&id, &queues);
                    queues.retain(|queue| queue.broker_name == broker_name);
                    answers.push(((group, id.clone()), Answer { holding, here: queues }));
                }
                Ok(None) => {
                    self.leave_alone(&id);
                    break;
                }
                Err(error) => {
                    tracing::debug!(group, client = id, %error, "a client cannot be asked what it holds")
                }
            }
        }
        answers
    }

    fn is_left_alone(&self, id: &str) -> bool {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, since| since.elapsed() < LEFT_ALONE_FOR);
        silent.contains_key(id)
    }

    fn leave_alone(&self, id: &str) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.insert(id.to_owned(), Instant::now());
    }
}

/// What a client is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// The queues that it holds.
    Queues,
    /// The queues of which it knows the offset.
    Offsets,
}

impl Question {
    fn for_member(member: &ConsumerConnection) -> Self {
        match member.language == JAVA && member.version.waits_on_callbacks() {
            true => Self::Offsets,
            false => Self::Queues,
        }
    }

    /// The queues; `None` if the client is silent.
    async fn ask(
        self,
        client: &Client,
        group: &str,
        id: &str,
    ) -> Result<Option<Vec<MessageQueue>>, RemotingError> {
        let answer = match self {
            Self::Queues => client.consumer_running_info(group, id).await.map(|answer| Some(answer.value)),
            Self::Offsets => {
                let answer = client.consumer_status(group, id).await;
                answer.map(|answer| Some(answer.value?.into_keys().collect()))
            }
        };
        match answer {
            Err(
                RemotingError::Deadline { .. }
                | RemotingError::Refused { code: ResponseCode::CONSUME_MSG_TIMEOUT, .. },
            ) => Ok(None),
            answer => answer,
        }
    }
}

/// The groups of which somebody is online, in order. No client is asked anything.
pub async fn online_groups(client: &Client) -> Result<Vec<String>, TableError> {
    Ok(connected(&client.with_deadline(TABLE_DEADLINE)).await?.into_keys().collect())
}

/// Who is online of each group. RocketMQ's own tools hold no queues and are left out.
async fn connected(client: &Client) -> Result<BTreeMap<String, ConsumerConnections>, TableError> {
    let names = groups(client).await?.into_iter().filter(|group| keeps_group(group));
    let asked = stream::iter(names).map(|group| async {
        let connections = client.consumer_connections(&group).await?.value;
        Ok::<_, RemotingError>(connections.map(|connections| (group, connections)))
    });
    Ok(asked.buffer_unordered(ASKED_AT_ONCE).try_filter_map(future::ok).try_collect().await?)
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

fn told(
    broker_name: &str,
    readable: &BTreeMap<String, u32>,
    group: String,
    connections: ConsumerConnections,
    answers: &Answers,
) -> OnlineGroup {
    let ConsumerConnections { members, subscriptions, broadcasting, pulls } = connections;
    let members: BTreeMap<String, Question> =
        members.into_iter().map(|member| (member.client_id.clone(), Question::for_member(&member))).collect();
    let (mut silent, mut holdings, mut held) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for id in members.keys() {
        match answers.get(&(group.clone(), id.clone())) {
            // One that pulls by itself reads what it wants, and does not say so.
            Some(Answer { holding, here }) if !pulls || !holding.queues_by_broker.is_empty() => {
                holdings.push(holding.clone());
                held.extend(here.iter().cloned());
            }
            _ => drop(silent.insert(id.clone())),
        }
    }
    // Where each member reads every queue as soon as it knows it, nothing is divided.
    let unheld_queues = match broadcasting {
        true => Vec::new(),
        false => unheld(broker_name, readable, subscriptions.keys(), &held),
    };
    if !unheld_queues.is_empty() {
        // They may hold them all the same.
        silent.extend(
            members.iter().filter(|(_, question)| **question == Question::Offsets).map(|(id, _)| id.clone()),
        );
    }
    OnlineGroup {
        group,
        clients: members.into_keys().collect(),
        silent_clients: silent.into_iter().collect(),
        unheld_queues,
        holdings,
    }
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

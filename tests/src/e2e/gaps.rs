//! Gaps of one topic's route that last for milliseconds: fifty looks a second, on connections that are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq::model::route::{RouteTable, TopicRoute};
use rocketmq::remoting::client::Client;

use crate::e2e::clusters::NAME_SERVICE;
use crate::e2e::judge::{ANSWERS_WITHIN, Judge, Truth, name_server_address, not_in};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::objects::Objects;
use crate::e2e::pods::Pod;
use crate::e2e::watch::{Watch, ensure};
use crate::error::{Context, LabError, Result};

/// How often each name server is asked.
const PERIOD: Duration = Duration::from_millis(20);

/// How long a name server that starts may take to take a connection.
const CONNECTS_WITHIN: Duration = Duration::from_millis(500);

/// A watch of one route at name servers that are there, and at those that come.
#[derive(Debug)]
pub struct Gaps {
    watch: Watch,
    whole: Arc<AtomicUsize>,
    wanted: usize,
}

impl Gaps {
    /// Watches the route of `topic` at the first `size` name servers, each from when it shows the route whole; the first one
    /// does already. Those that leave meanwhile must not be among them.
    ///
    /// # Errors
    /// When pods cannot be watched.
    pub fn watch(kubectl: &Kubectl, truth: &Truth, topic: &str, size: u32) -> Result<Self> {
        let judge = Judge::new()?;
        let wanted = truth.of_topic(topic);
        ensure(!wanted.rows.is_empty(), || format!("no broker has the topic `{topic}`"))?;
        let pods = Objects::watch(kubectl, &["pods", "-l", "app.kubernetes.io/component=name-server"])?;
        let topic = topic.to_owned();
        let whole = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&whole);
        let mut name_servers: BTreeMap<String, NameServer> = BTreeMap::new();
        let watch = Watch::start(PERIOD, move || {
            for version in pods.unread() {
                let pod = Pod::from_json(&version);
                if (0..size).any(|ordinal| pod.name == format!("{NAME_SERVICE}-{ordinal}"))
                    && !pod.ip.is_empty()
                {
                    name_servers.entry(pod.name.clone()).or_insert_with(|| NameServer::new(pod));
                }
            }
            for name_server in name_servers.values_mut() {
                name_server.look(&judge, &topic, &wanted)?;
            }
            seen.store(name_servers.values().filter(|seen| seen.whole).count(), Ordering::SeqCst);
            Ok(())
        });
        Ok(Self { watch, whole, wanted: size as usize })
    }

    /// Ends the watch; returns how often it looked.
    ///
    /// # Errors
    /// When a route that had been whole was not at one look, or one never was.
    pub fn end(self) -> Result<usize> {
        let looks = self.watch.end()?;
        let whole = self.whole.load(Ordering::SeqCst);
        ensure(whole == self.wanted, || {
            format!("the route was whole at {whole} name server(s), not at {}", self.wanted)
        })?;
        Ok(looks)
    }
}

/// One of them.
struct NameServer {
    pod: Pod,
    connection: Option<Client>,
    /// It has shown the whole route: from then on it must always.
    whole: bool,
}

impl NameServer {
    fn new(pod: Pod) -> Self {
        Self { pod, connection: None, whole: false }
    }

    fn look(&mut self, judge: &Judge, topic: &str, wanted: &RouteTable) -> Result<()> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => match judge
                .runtime
                .block_on(Client::connect(&name_server_address(&self.pod), CONNECTS_WITHIN))
            {
                Ok(connection) => connection.with_deadline(ANSWERS_WITHIN),
                // It starts.
                Err(_) => return Ok(()),
            },
        };
        let route = match judge.runtime.block_on(connection.route(topic)) {
            Ok(route) => route.value,
            Err(_) if !self.whole => return Ok(()),
            Err(error) => {
                return Err(error).context(|| format!("name server `{}` does not answer", self.pod.name));
            }
        };
        self.connection = Some(connection);
        self.saw(route.as_ref(), wanted)
    }

    fn saw(&mut self, route: Option<&TopicRoute>, wanted: &RouteTable) -> Result<()> {
        let shown =
            route.map(|route| RouteTable { brokers: route.brokers.clone(), rows: route.rows.clone() });
        let missing = not_in(wanted, &shown.unwrap_or_default());
        if missing.is_empty() {
            self.whole = true;
        }
        if self.whole && !missing.is_empty() {
            let gap = format!("name server `{}` has no longer {}", self.pod.name, missing.join(", "));
            return Err(LabError::new(gap));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rocketmq::model::route::{RegisteredBroker, TopicRow};

    use super::*;

    fn broker(id: u64) -> RegisteredBroker {
        RegisteredBroker {
            cluster: "c".to_owned(),
            broker_name: "broker-0".to_owned(),
            broker_id: id,
            address: format!("10.0.0.{id}:10911"),
        }
    }

    fn route(brokers: &[u64], permission: u32) -> TopicRoute {
        let row = TopicRow {
            topic: "orders".to_owned(),
            broker_name: "broker-0".to_owned(),
            read_queues: 4,
            write_queues: 4,
            permission,
        };
        TopicRoute {
            rows: vec![row],
            brokers: brokers.iter().map(|id| broker(*id)).collect(),
            order_topic_conf: None,
        }
    }

    #[test]
    fn a_route_that_was_whole_must_stay_so() {
        let whole = route(&[0, 1], 6);
        let wanted = RouteTable { brokers: whole.brokers.clone(), rows: whole.rows.clone() };
        let saw = |routes: &[Option<TopicRoute>]| {
            let pod = Pod {
                name: "name-service-1".to_owned(),
                uid: String::new(),
                ip: String::new(),
                ready: true,
                containers: BTreeMap::new(),
            };
            let mut name_server = NameServer::new(pod);
            let seen = routes.iter().try_for_each(|route| name_server.saw(route.as_ref(), &wanted));
            (name_server.whole, seen.is_ok())
        };
        assert_eq!(
            saw(&[None, Some(route(&[0], 6)), Some(whole.clone()), Some(whole.clone())]),
            (true, true)
        );
        assert_eq!(saw(&[None, Some(route(&[1], 6))]), (false, true));
        for gap in [None, Some(route(&[0], 6)), Some(route(&[0, 1], 4))] {
            assert_eq!(saw(&[Some(whole.clone()), gap, Some(whole.clone())]), (true, false));
        }
        // More brokers are no gap: a group may join.
        assert_eq!(saw(&[Some(whole.clone()), Some(route(&[0, 1, 2], 6))]), (true, true));
    }
}

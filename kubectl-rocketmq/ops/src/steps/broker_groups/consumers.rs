//! Consumers come to new masters before producers do.

use std::collections::BTreeSet;

use agents::types::OnlineGroup;
use futures::future::try_join_all;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::masters;
use crate::clients::RoutePeriod;
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// Waits until the groups that are online in the cluster hold the queues of new masters. Where a client cannot say
/// what it holds, and where a group reads nothing of the new masters, the time that clients need is waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AwaitConsumers {
    /// The StatefulSets of the masters that were there before.
    pub masters: Vec<String>,
    /// The StatefulSets of the new masters.
    pub targets: Vec<String>,
    /// Consumers learn of them so soon.
    pub route_period: RoutePeriod,
}

/// What the groups at one new master come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    /// Every group that is online somewhere is there and holds everything.
    Yes,
    /// Not known, or not to come: time tells. Why, in words.
    InTime(String),
    /// A group that answers has not taken something. What, in words.
    Not(String),
}

impl<W: World> Step<W> for AwaitConsumers {
    type Before = ();
    const NAME: &'static str = "await-consumers";

    fn describe(&self) -> Change {
        Change::new(format!(
            "wait until consumers hold the queues of the new master(s), or {}s where a client cannot tell",
            self.route_period.moved_within().as_secs()
        ))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let (start, time) = (world.elapsed(), self.route_period.moved_within());
        let if_ever = self.route_period.moved_if_ever();
        until(world, "consumers hold the queues of the new master(s)", if_ever, || async move {
            let waited = world.elapsed().saturating_sub(start);
            match self.held(world).await {
                Ok(Held::Yes) => Look::Holds(()),
                Ok(Held::InTime(_)) if waited >= time => Look::Holds(()),
                Ok(Held::InTime(reason)) => {
                    let left = time.saturating_sub(waited).as_secs();
                    Look::NotYet(format!("{reason}; {left}s more"))
                }
                Ok(Held::Not(reason)) => Look::NotYet(reason),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

impl AwaitConsumers {
    async fn held<W: World>(&self, world: &W) -> Result<Held, WorldError> {
        let pods = masters(world, &self.masters).await?;
        let online = try_join_all(pods.iter().map(|pod| world.online_groups(pod))).await?;
        let expected: BTreeSet<String> = online.into_iter().flatten().collect();
        let mut all = Held::Yes;
        // One after the other: each has the clients asked, and those bear one question at a time.
        for pod in masters(world, &self.targets).await? {
            let here = held_at(&pod.name, &expected, &world.consumers(&pod).await?);
            // What a group must still do is told before what time does.
            match (&all, &here) {
                (_, Held::Not(_)) => return Ok(here),
                (Held::Yes, _) => all = here,
                _ => {}
            }
        }
        Ok(all)
    }
}

/// What the groups at one new master come to. `expected` are those that are online at the masters from before.
fn held_at(pod: &str, expected: &BTreeSet<String>, present: &[OnlineGroup]) -> Held {
    let mut waits_for = None;
    for OnlineGroup { group, silent_clients, unheld_queues, .. } in present {
        match (unheld_queues.as_slice(), silent_clients.as_slice()) {
            ([], _) => {}
            ([queue, ..], []) => {
                return Held::Not(format!(
                    "group `{group}` has not taken {} queue(s) of `{pod}`, `{queue}` among them",
                    unheld_queues.len()
                ));
            }
            (_, [client, ..]) => {
                waits_for.get_or_insert(format!(
                    "client `{client}` of group `{group}` does not say what it holds of `{pod}`"
                ));
            }
        }
    }
    let is_there = |group: &String| present.iter().any(|online| online.group == *group);
    if let Some(absent) = expected.iter().find(|group| !is_there(group)) {
        waits_for.get_or_insert(format!("group `{absent}` has not come to `{pod}`"));
    }
    waits_for.map_or(Held::Yes, Held::InTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, silent: &[&str], unheld: &[&str]) -> OnlineGroup {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        OnlineGroup {
            group: name.to_owned(),
            clients: vec!["c1".to_owned()],
            silent_clients: texts(silent),
            unheld_queues: texts(unheld),
            holdings: Vec::new(),
        }
    }

    #[test]
    fn a_group_that_answers_must_hold_everything_and_time_tells_of_the_others() {
        let check = |expected: &[&str], present: &[OnlineGroup], held: Held| {
            let expected = expected.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(held_at("new-0", &expected, present), held);
        };
        let in_time = |reason: &str| Held::InTime(reason.to_owned());
        check(&[], &[], Held::Yes);
        check(&["billing"], &[group("billing", &[], &[])], Held::Yes);
        // Everything is held, whoever is silent.
        check(&["billing"], &[group("billing", &["c2"], &[])], Held::Yes);
        check(&["billing"], &[], in_time("group `billing` has not come to `new-0`"));
        check(
            &["billing"],
            &[group("billing", &["c2"], &["orders:1"])],
            in_time("client `c2` of group `billing` does not say what it holds of `new-0`"),
        );
        let unheld = "group `audit` has not taken 2 queue(s) of `new-0`, `orders:0` among them";
        check(
            &["audit", "billing"],
            &[group("billing", &["c2"], &["orders:1"]), group("audit", &[], &["orders:0", "orders:1"])],
            Held::Not(unheld.to_owned()),
        );
    }
}

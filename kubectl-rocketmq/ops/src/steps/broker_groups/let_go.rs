//! Consumers let go of leaving masters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agents::types::OnlineGroup;
use saga::StepError;

use super::master;
use super::permissions::StopReads;
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// Between two looks that must agree. While a group shares its queues out anew, its members may say for up to 1.4 s that
/// nobody holds some of them (seen with 5.3.3 and 5.5.0). Clients of both had let go 28 to 38 s after a permission went.
const SURE_AFTER: Duration = Duration::from_secs(2);

/// The same where nobody is online.
const SOON: Duration = Duration::from_millis(500);

/// Where all who are online stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Nobody is online.
    Nobody,
    /// Everybody says that they hold nothing of the leaving masters.
    Free,
    /// Somebody does not say it, so time tells. Who, in words.
    Untold(String),
    /// Somebody says that they hold something. Who and what, in words.
    Holds(String),
}

/// Waits until every consumer that is online at a master of the cluster, whichever it is, says in two looks in a row that
/// it holds no queue of the leaving ones; for no longer than clients need to move. One that does not say it has that time,
/// and so has one that keeps what it holds: a rebalance does not take the last queues of a topic that is nowhere else
/// (`RebalanceImpl.rebalanceByTopic`, `AllocateMessageQueueAveragely.allocate`, all tags).
pub(super) async fn await_let_go<W: World>(world: &W, step: &StopReads) -> Result<(), StepError> {
    let (start, time) = (world.elapsed(), step.route_period.moved_within());
    let look = || async move {
        let mut looks = Vec::new();
        // One after the other: each has the clients asked, and those bear one question at a time.
        for stateful_set in step.leaving.masters.iter().chain(&step.staying) {
            let online = async { world.consumers(&master(world, stateful_set).await?).await };
            looks.push((stateful_set.as_str(), online.await));
        }
        standing(&step.groups, looks)
    };
    until(world, "consumers have let go of the leaving masters", time * 2, || async move {
        let mut now = look().await;
        let pause = match now {
            Standing::Nobody => Some(SOON),
            Standing::Free => Some(SURE_AFTER),
            _ => None,
        };
        if let Some(pause) = pause {
            world.pause(pause).await;
            now = look().await;
        }
        let left = time.saturating_sub(world.elapsed().saturating_sub(start));
        match now {
            Standing::Nobody | Standing::Free => Look::Holds(()),
            Standing::Untold(_) | Standing::Holds(_) if left.is_zero() => Look::Holds(()),
            Standing::Untold(who) | Standing::Holds(who) => {
                Look::NotYet(format!("{who}; {}s more", left.as_secs()))
            }
        }
    })
    .await
}

/// What the looks at all masters come to. What clients say that they hold is told before what they do not say.
fn standing(
    leaving: &BTreeSet<String>,
    looks: Vec<(&str, Result<Vec<OnlineGroup>, WorldError>)>,
) -> Standing {
    let mut untold = None;
    // By group and client: one that one master knows nothing of may have told another.
    let mut clients: BTreeMap<(String, String), Option<(String, u32)>> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (stateful_set, look) in looks {
        let groups = match look {
            Ok(groups) => groups,
            Err(error) => {
                untold.get_or_insert(format!(
                    "the master of StatefulSet/{stateful_set} does not tell: {error}"
                ));
                continue;
            }
        };
        for OnlineGroup { group, clients: online, silent_clients, holdings, .. } in groups {
            for client in online {
                clients.entry((group.clone(), client)).or_default();
            }
            for holding in holdings {
                let key = (group.clone(), holding.client);
                // One that may hold more than it said is silent as well.
                if !silent_clients.contains(&key.1) {
                    told.insert(key.clone());
                }
                let of_leaving =
                    holding.queues_by_broker.into_iter().find(|(broker, _)| leaving.contains(broker));
                if of_leaving.is_some() {
                    clients.insert(key, of_leaving);
                }
            }
        }
    }
    let held = clients.iter().find_map(|((group, client), held)| {
        let (broker, queues) = held.as_ref()?;
        Some(format!("client `{client}` of group `{group}` holds {queues} queue(s) of `{broker}`"))
    });
    if let Some(held) = held {
        return Standing::Holds(held);
    }
    if let Some((group, client)) = clients.keys().find(|key| !told.contains(*key)) {
        untold.get_or_insert(format!("client `{client}` of group `{group}` does not say what it holds"));
    }
    match untold {
        Some(who) => Standing::Untold(who),
        None if clients.is_empty() => Standing::Nobody,
        None => Standing::Free,
    }
}

#[cfg(test)]
mod tests {
    use agents::types::Holding;

    use super::*;

    fn group(name: &str, clients: &[&str], holdings: &[(&str, &[(&str, u32)])]) -> OnlineGroup {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let holding = |(client, queues): &(&str, &[(&str, u32)])| Holding {
            client: (*client).to_owned(),
            queues_by_broker: queues.iter().map(|(broker, count)| ((*broker).to_owned(), *count)).collect(),
        };
        OnlineGroup {
            group: name.to_owned(),
            clients: texts(clients),
            silent_clients: Vec::new(),
            unheld_queues: Vec::new(),
            holdings: holdings.iter().map(holding).collect(),
        }
    }

    fn check(looks: &[&[OnlineGroup]], expected: Standing) {
        let leaving = BTreeSet::from(["b-1".to_owned(), "b-2".to_owned()]);
        let looks = looks.iter().map(|groups| ("set", Ok(groups.to_vec())));
        assert_eq!(standing(&leaving, looks.collect()), expected);
    }

    #[test]
    fn everybody_who_is_online_anywhere_must_say_that_they_hold_nothing_of_what_leaves() {
        let holds = |who: &str| Standing::Holds(who.to_owned());
        check(&[&[], &[]], Standing::Nobody);
        let elsewhere = group("g", &["c1", "c2"], &[("c1", &[("b-0", 4)]), ("c2", &[])]);
        check(&[&[], std::slice::from_ref(&elsewhere)], Standing::Free);
        let here = group("h", &["c3"], &[("c3", &[("b-0", 4), ("b-2", 3)])]);
        let expected = "client `c3` of group `h` holds 3 queue(s) of `b-2`";
        check(&[&[], &[elsewhere.clone(), here.clone()]], holds(expected));
        // A master that was started anew has not heard of it yet, another one has.
        check(&[&[here], &[elsewhere]], holds(expected));
        // It let go between the two answers, or took something: the worse counts.
        let before = group("g", &["c1"], &[("c1", &[("b-1", 1)])]);
        let after = group("g", &["c1"], &[("c1", &[])]);
        let expected = "client `c1` of group `g` holds 1 queue(s) of `b-1`";
        check(&[std::slice::from_ref(&before), std::slice::from_ref(&after)], holds(expected));
        check(&[&[after], &[before]], holds(expected));
    }

    #[test]
    fn who_does_not_say_what_they_hold_is_named_after_those_that_hold_something() {
        let untold = |who: &str| Standing::Untold(who.to_owned());
        let silent = "client `c2` of group `g` does not say what it holds";
        let half = group("g", &["c1", "c2"], &[("c1", &[])]);
        check(&[std::slice::from_ref(&half)], untold(silent));
        // An older agent tells what nobody holds, not who holds what.
        check(&[&[group("g", &["c2"], &[])]], untold(silent));
        // It told another master.
        check(&[std::slice::from_ref(&half), &[group("g", &["c2"], &[("c2", &[])])]], Standing::Free);
        // It may hold more than it said; another master has all its queues held, so the group has shared them out.
        let doubtful = |queues: &[(&str, u32)]| OnlineGroup {
            silent_clients: vec!["c2".to_owned()],
            ..group("g", &["c2"], &[("c2", queues)])
        };
        check(&[&[doubtful(&[("b-0", 4)])]], untold(silent));
        check(&[&[doubtful(&[])], &[group("g", &["c2"], &[("c2", &[])])]], Standing::Free);
        let expected = "client `c2` of group `g` holds 1 queue(s) of `b-1`";
        check(&[&[doubtful(&[("b-1", 1)])]], Standing::Holds(expected.to_owned()));
        // The same id in another group is another client.
        check(&[std::slice::from_ref(&half), &[group("h", &["c2"], &[("c2", &[])])]], untold(silent));
        let holds = group("h", &["c3"], &[("c3", &[("b-1", 2)])]);
        let expected = "client `c3` of group `h` holds 2 queue(s) of `b-1`";
        check(&[&[half], &[holds]], Standing::Holds(expected.to_owned()));

        let away = ("set-1", Err(WorldError::new("no route")));
        let standing = standing(&BTreeSet::new(), vec![("set-0", Ok(Vec::new())), away]);
        assert_eq!(standing, untold("the master of StatefulSet/set-1 does not tell: no route"));
    }
}

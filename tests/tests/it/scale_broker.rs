//! Broker groups 2 -> 3 -> 2 under traffic, and scales in both directions that are killed.

use lab::e2e::clusters::{Shape, name_server_pods};
use lab::e2e::drains::Untouched;
use lab::e2e::groups;
use lab::e2e::journal::Moment;
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kill;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::out_and_in::scales_out_and_in;
use lab::e2e::pods;
use lab::e2e::scene::{Lane, scene};
use lab::e2e::traffic::TOPICS;
use lab::e2e::watch::ensure;
use lab::error::Result;
use rocketmq::metadata::difference;

use crate::Verdict;

#[test]
fn broker_groups_scale_out_and_in_under_traffic_on_5_3_3() -> Verdict {
    scene("scale-broker-5-3-3", Lane::Main, |scene| scales_out_and_in(scene, "5.3.3", ""))
}

#[test]
fn scale_out_is_killed_and_ended() -> Verdict {
    scene("scale-broker-killed", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 }.apply(scene)?;
        judge.make_topics(kubectl)?;
        let moments = [Moment::Started("import-metadata"), Moment::Done("equalise-metadata")];
        for moment in moments {
            let (objects, record) = (groups::objects(kubectl)?, groups::record(kubectl)?);
            let operation = kill::at(scene, moment, &groups::scale_arguments("3"))?;
            kill::end(kubectl, "undo", &operation)?;
            groups::are(kubectl, &judge, 2)?;
            let left = groups::objects(kubectl)?;
            ensure(objects == left, || format!("undone, but not like no run:\n{objects:?}\n{left:?}"))?;
            let noted = groups::record(kubectl)?;
            ensure(record == noted, || format!("undone, but the record is another:\n{record}\n{noted}"))?;
        }
        for (moment, size) in moments.into_iter().zip(3..) {
            let operation = kill::at(scene, moment, &groups::scale_arguments(&size.to_string()))?;
            kill::end(kubectl, "resume", &operation)?;
            groups::are(kubectl, &judge, size)?;
            has_topics_of_the_first(kubectl, &judge, size - 1)?;
        }
        Ok(())
    })
}

/// A group that joined has what the first one has.
fn has_topics_of_the_first(kubectl: &Kubectl, judge: &Judge, joined: u32) -> Result<()> {
    let tables = |group: u32| {
        let pod = pods::pod(kubectl, &groups::master(group))?;
        judge.tables(&groups::name(group), &broker_address(&pod))
    };
    let difference = difference(&tables(0)?, &tables(joined)?);
    ensure(difference.is_empty(), || format!("group {joined} differs: {difference:?}"))
}

/// Undone and resumed once each; the exhaustive tests do so at every step.
#[test]
fn scale_in_is_killed_and_ended() -> Verdict {
    scene("scale-broker-in-killed", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 }.apply(scene)?;
        judge.make_topics(kubectl)?;
        let untouched = Untouched::now(kubectl, &judge, 2)?;
        let operation = kill::at(scene, Moment::Started("drain"), &groups::scale_arguments("1"))?;
        kill::end(kubectl, "undo", &operation)?;
        untouched.is_still(kubectl, &judge, TOPICS[0])?;

        let leaving = pods::pod(kubectl, &groups::master(1))?;
        let operation = kill::at(scene, Moment::Started("delete-objects"), &groups::scale_arguments("1"))?;
        kill::end(kubectl, "resume", &operation)?;
        groups::are(kubectl, &judge, 1)?;
        for name_server in name_server_pods(kubectl)? {
            let listed = judge.lists(&name_server, &broker_address(&leaving))?;
            ensure(!listed, || format!("`{}` still lists `{}`", name_server.name, leaving.name))?;
        }
        Ok(())
    })
}

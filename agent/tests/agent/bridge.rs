//! Bridges: what opens, keeps, ends and forbids one, each condition on 4.x and on 5.x.

use fakes::name_server::State;
use fakes::{FakeBroker, FakeNameServer};
use proto::describe::Owner;
use rocketmq::model::permission::Permission;
use rocketmq::model::version::Version;
use rocketmq::remoting::request_code::RequestCode;

use crate::support::{Pod, Running, VERSIONS, broker_at, list, name_server, setup, topic};

/// A broker that is registered at its one name server, and an agent that is given a second.
struct Scene {
    old: FakeNameServer,
    new: FakeNameServer,
    broker: FakeBroker,
    pod: Pod,
    agent: Running,
}

impl Scene {
    async fn bridged(version: Version) -> Self {
        let scene = Self::new(version).await;
        scene.agent.until_owner(&scene.new, Owner::Bridge).await;
        scene
    }

    async fn new(version: Version) -> Self {
        let (old, new) = (name_server(version).await, name_server(version).await);
        let broker = broker_at(version, &[&old]).await;
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&old, &new]);
        let agent = pod.start();
        Self { old, new, broker, pod, agent }
    }

    /// The broker has applied the longer list and its timer comes round.
    async fn broker_registers_everywhere(&self) {
        self.broker.set_setting("namesrvAddr", &list(1, &[&self.old, &self.new]).namesrv_addr());
        assert!(self.broker.register().await.is_empty());
    }

    fn is_listed_at(&self, name_server: &FakeNameServer) -> bool {
        name_server.listed().iter().any(|listed| listed.broker == self.broker.identity())
    }
}

fn registrations(name_server: &FakeNameServer) -> usize {
    name_server.received_of(RequestCode::REGISTER_BROKER).len()
}

/// Waits until a name server was asked so many times more.
async fn until_more(name_server: &FakeNameServer, code: RequestCode, more: usize) {
    let wanted = name_server.received_of(code).len() + more;
    let came = |state: &State| state.received().iter().filter(|it| it.code == code).count() >= wanted;
    name_server.until(&format!("{more} more of {code}"), came).await.unwrap();
}

async fn until_more_looks(name_server: &FakeNameServer, more: usize) {
    until_more(name_server, RequestCode::GET_BROKER_CLUSTER_INFO, more).await;
}

async fn until_no_broker(name_server: &FakeNameServer) {
    name_server.until("no broker", |state| state.listed().is_empty()).await.unwrap();
}

#[tokio::test]
async fn a_new_name_server_has_every_row_at_once() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        assert_eq!(scene.new.routes(), scene.old.routes(), "{version}");
        let sent = &scene.new.registrations()[0];
        assert_eq!((sent.version, sent.broker.clone()), (version, scene.broker.identity()));
        assert_eq!(sent.ha_server_addr, scene.old.registrations()[0].ha_server_addr);
    }
}

#[tokio::test]
async fn the_whole_table_goes_with_the_brokers_permission_applied() {
    for version in VERSIONS {
        let (old, new) = (name_server(version).await, name_server(version).await);
        let broker = FakeBroker::start(setup(version, &[&old])).await.unwrap();
        broker.put_topic(rocketmq::model::topic::TopicConfig {
            perm: Permission::from_bits(2),
            ..topic("write-only", 4)
        });
        broker.set_setting("brokerPermission", "4");
        assert!(broker.register().await.is_empty());
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&old, &new]);
        let agent = pod.start();
        agent.until_owner(&new, Owner::Bridge).await;
        assert_eq!(new.routes(), old.routes(), "{version}");
        let row = new.routes().rows.into_iter().find(|row| row.topic == "write-only").unwrap();
        assert_eq!(row.permission, if version.is_5() { 0 } else { 4 }, "{version}");
    }
}

#[tokio::test]
async fn a_bridge_registers_under_a_version_that_no_broker_has() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        let stored = scene.new.listed()[0].data_version;
        assert_eq!(stored, scene.broker.data_version().sentinel(0), "{version}");
        assert_ne!(stored, scene.broker.data_version(), "{version}");
    }
}

#[tokio::test]
async fn the_acting_master_flag_goes_along_on_5() {
    let version = Version::V5_3_3;
    let (old, new) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    broker.set_setting("enableSlaveActingMaster", "true");
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&old, &new]);
    let agent = pod.start();
    agent.until_owner(&new, Owner::Bridge).await;
    let sent = &new.registrations()[0];
    assert_eq!(sent.enable_acting_master, Some(true));
    assert_eq!(sent.heartbeat_timeout_millis, None, "the bridge is no heartbeat, so 120 s count");
}

#[tokio::test]
async fn a_bridge_is_kept_alive_by_asking_and_never_registers_again() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        until_more(&scene.new, RequestCode::QUERY_DATA_VERSION, 4).await;
        assert_eq!(registrations(&scene.new), 1, "{version}");
        assert_eq!(scene.agent.owner(&scene.new), Some(Owner::Bridge), "{version}");
    }
}

#[tokio::test]
async fn a_bridge_ends_when_the_broker_has_registered_itself_and_nothing_disappears() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        let bridge = scene.new.listed()[0].connection;
        scene.broker_registers_everywhere().await;
        scene.agent.until_owner(&scene.new, Owner::Broker).await;
        scene
            .new
            .until("the bridge's channel is closed", |state| !state.connections().contains(&bridge))
            .await
            .unwrap();
        assert!(scene.is_listed_at(&scene.new), "{version}");
        assert_eq!(scene.new.listed()[0].data_version, scene.broker.data_version(), "{version}");
        assert_eq!(scene.new.routes(), scene.old.routes(), "{version}");
    }
}

#[tokio::test]
async fn changed_topics_reach_a_bridged_name_server_too() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        scene.broker.put_topic(topic("late", 8));
        let has_late = |state: &State| state.routes().rows.iter().any(|row| row.topic == "late");
        scene.new.until("the row of the new topic", has_late).await.unwrap();
        assert!(scene.new.listed()[0].data_version.is_sentinel(), "{version}");
        assert_eq!(scene.agent.owner(&scene.new), Some(Owner::Bridge), "{version}");
        assert_eq!(registrations(&scene.new), 2, "{version}");
    }
}

#[tokio::test]
async fn a_bridge_ends_at_once_when_the_broker_dies() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        let Scene { old, new, broker, agent, pod: _pod } = scene;
        drop(broker);
        for name_server in [&old, &new] {
            until_no_broker(name_server).await;
        }
        agent.until_owner(&new, Owner::Nobody).await;
        assert_eq!(registrations(&new), 1, "{version}");
    }
}

#[tokio::test]
async fn a_broker_that_hangs_keeps_its_bridge() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        scene.broker.set_silent(true);
        until_more(&scene.new, RequestCode::QUERY_DATA_VERSION, 2).await;
        assert!(scene.is_listed_at(&scene.new), "{version}");
    }
}

#[tokio::test]
async fn a_marked_stop_ends_the_bridge_and_starts_none() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        scene.pod.mark_stop();
        scene.agent.until_reason(&scene.new, "being stopped").await;
        until_no_broker(&scene.new).await;

        // 5.x leaves every name server at once and lives on: nothing brings it back.
        assert!(scene.broker.unregister().await.is_empty());
        until_no_broker(&scene.old).await;
        for name_server in [&scene.old, &scene.new] {
            scene.agent.until_reason(name_server, "being stopped").await;
            until_more_looks(name_server, 3).await;
            assert!(name_server.listed().is_empty(), "{version}");
        }
        assert_eq!((registrations(&scene.old), registrations(&scene.new)), (1, 1), "{version}");
    }
}

#[tokio::test]
async fn a_broker_that_leaves_without_a_mark_is_not_brought_back() {
    for version in VERSIONS {
        let scene = Scene::new(version).await;
        scene.broker_registers_everywhere().await;
        scene.agent.until_owner(&scene.new, Owner::Broker).await;
        scene.agent.until_owner(&scene.old, Owner::Broker).await;
        let before = (registrations(&scene.old), registrations(&scene.new));
        assert!(scene.broker.unregister().await.is_empty());
        for name_server in [&scene.old, &scene.new] {
            scene.agent.until_reason(name_server, "own registration since its start").await;
        }
        assert_eq!((registrations(&scene.old), registrations(&scene.new)), before, "{version}");
    }
}

#[tokio::test]
async fn the_mark_of_a_former_stop_goes_at_the_next_start() {
    let version = Version::V5_3_3;
    let (old, new) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mark_stop();
    let mark = std::fs::File::options().write(true).open(&pod.config.paths.stopping).unwrap();
    mark.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    pod.mount_list(1, &[&old, &new]);
    let agent = pod.start();
    agent.until_owner(&new, Owner::Bridge).await;
    assert!(!pod.config.paths.stopping.exists());
}

#[tokio::test]
async fn nothing_is_bridged_before_the_broker_has_registered_itself_anywhere() {
    for version in VERSIONS {
        let (old, new) = (name_server(version).await, name_server(version).await);
        let broker = FakeBroker::start(setup(version, &[&old])).await.unwrap();
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&old, &new]);
        let agent = pod.start();
        for name_server in [&old, &new] {
            agent.until_reason(name_server, "own registration since its start").await;
        }
        // At the old one alone, whether or not the agent has set the new list by now.
        assert!(broker.register_at(&[old.address()]).await.is_empty());
        agent.until_owner(&new, Owner::Bridge).await;
        agent.until_owner(&old, Owner::Broker).await;
    }
}

#[tokio::test]
async fn a_slave_is_bridged_only_where_its_master_is_listed() {
    for version in VERSIONS {
        let (old, new) = (name_server(version).await, name_server(version).await);
        let master = broker_at(version, &[&old]).await;
        let mut as_slave = setup(version, &[&old]);
        as_slave.broker_id = 1;
        let slave = FakeBroker::start(as_slave).await.unwrap();
        assert!(slave.register().await.is_empty());
        let slaves_pod = Pod::of_broker(&slave, Some(version));
        slaves_pod.mount_list(1, &[&old, &new]);
        let slaves_agent = slaves_pod.start();
        slaves_agent.until_reason(&new, "its master is not listed there").await;
        assert!(new.listed().is_empty(), "{version}");

        let masters_pod = Pod::of_broker(&master, Some(version));
        masters_pod.mount_list(1, &[&old, &new]);
        let _masters_agent = masters_pod.start();
        slaves_agent.until_owner(&new, Owner::Bridge).await;
        let ids: Vec<u64> = new.registrations().iter().map(|it| it.broker.broker_id).collect();
        assert_eq!(ids, [0, 1], "{version}: masters before slaves");
    }
}

#[tokio::test]
async fn an_agent_killed_during_its_bridge_comes_back_to_it() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        let Scene { old, new, broker: _broker, pod, agent } = scene;
        drop(agent);
        until_no_broker(&new).await;
        let agent = pod.start();
        agent.until_owner(&new, Owner::Bridge).await;
        assert_eq!(new.routes(), old.routes(), "{version}");
    }
}

#[tokio::test]
async fn an_entry_that_a_former_agent_left_is_taken_over() {
    for version in VERSIONS {
        let (old, new) = (name_server(version).await, name_server(version).await);
        let broker = broker_at(version, &[&old]).await;
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&old, &new]);
        // Two agents at once, as when the former's channel is not seen to be closed.
        let former = pod.start();
        former.until_owner(&new, Owner::Bridge).await;
        let agent = pod.start();
        agent.until_owner(&new, Owner::Bridge).await;
        drop(former);
        agent.until_owner(&old, Owner::Broker).await;
        new.until("the entry is the second agent's", |state| {
            state.listed().len() == 1 && state.registrations().len() >= 2
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_name_server_that_drops_the_bridges_entry_is_bridged_again() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        scene.new.expire(&scene.broker.address());
        scene.new.until("bridged again", |state| state.registrations().len() == 2).await.unwrap();
        scene.agent.until_owner(&scene.new, Owner::Bridge).await;
    }
}

#[tokio::test]
async fn a_name_server_that_leaves_the_list_loses_its_bridge() {
    for version in VERSIONS {
        let scene = Scene::bridged(version).await;
        scene.pod.mount_list(2, &[&scene.old]);
        until_no_broker(&scene.new).await;
        scene.agent.until("it is forgotten", || scene.agent.owner(&scene.new).is_none()).await;
        assert!(scene.is_listed_at(&scene.old), "{version}");
    }
}

#[tokio::test]
async fn an_entry_from_before_a_name_server_left_the_list_is_taken_over_when_it_comes_back() {
    for version in VERSIONS {
        let scene = Scene::new(version).await;
        scene.broker_registers_everywhere().await;
        scene.agent.until_owner(&scene.new, Owner::Broker).await;
        let own = scene.new.listed()[0].connection;
        scene.pod.mount_list(2, &[&scene.old]);
        scene.agent.until("it is forgotten", || scene.agent.owner(&scene.new).is_none()).await;
        scene.pod.mount_list(3, &[&scene.old, &scene.new]);
        scene.agent.until_owner(&scene.new, Owner::Bridge).await;
        assert!(scene.is_listed_at(&scene.new), "{version}");
        assert_ne!(scene.new.listed()[0].connection, own, "{version}: the idle channel may close now");
        scene.broker_registers_everywhere().await;
        scene.agent.until_owner(&scene.new, Owner::Broker).await;
    }
}

#[tokio::test]
async fn a_name_server_that_does_not_answer_is_told_and_bridged_later() {
    let version = Version::V5_3_3;
    let (old, absent) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&old, &absent]);
    let address = absent.socket_address();
    drop(absent);
    let agent = pod.start();
    let unreachable =
        || agent.agent.describe().list.unwrap().registrations.iter().any(|it| it.owner == Owner::Unreachable);
    agent.until("unreachable", unreachable).await;
    let new = FakeNameServer::start_at(address, version).await.unwrap();
    agent.until_owner(&new, Owner::Bridge).await;
}

#[tokio::test]
async fn a_settled_broker_is_looked_at_without_a_sign_of_life_in_its_name() {
    let version = Version::V5_3_3;
    let (one, other) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&one, &other]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&one, &other]);
    let running = pod.start();
    running.until("the broker answers", || running.agent.process.borrow().answers).await;
    for name_server in [&one, &other] {
        until_more_looks(name_server, 10).await;
        // Once before the broker's start was known, and once for that start.
        let asked = name_server.received_of(RequestCode::QUERY_DATA_VERSION).len();
        assert!(asked <= 2, "asked {asked} times");
    }
}

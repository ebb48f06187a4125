//! The file that RocketMQ is started with. The agent owns a few keys of it; every other key is the user's or
//! RocketMQ's own, which rewrites the file with all of its effective settings at each code 25
//! (`Configuration.persist`, all tags).
//!
//! Pure: texts in, texts out.

use std::path::Path;

use proto::describe::ListMode;
use rocketmq::model::name_server::NameServerList;
use rocketmq::model::permission::Permission;
use rocketmq::remoting::properties::Properties;

use crate::config::Broker;

/// The keys that the agent owns, and what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedSettings(Vec<(&'static str, Option<String>)>);

/// `namesrvAddr` of broker.conf.
pub const NAMESRV_ADDR: &str = "namesrvAddr";

/// `brokerPermission` of broker.conf.
pub const BROKER_PERMISSION: &str = "brokerPermission";

/// How often a broker of 5.3.1+ reads `namesrvAddr` again.
const LIST_PERIOD: &str = "updateNameServerAddrPeriod";

/// The default of 120 s would make each scale wait for it.
const UPDATE_PERIOD_MILLIS: u32 = 5_000;

/// `BrokerConfig.listenPort`'s default, all tags.
const BROKER_PORT: u16 = 10911;

impl OwnedSettings {
    /// A broker's. `store` is where its container sees its data. Only the `namesrvAddr` mode needs a list.
    /// `permission` is owned only while an operation keeps one.
    pub fn of_broker(
        broker: &Broker,
        pod_ip: &str,
        store: &Path,
        list: &NameServerList,
        address_server_port: u16,
        permission: Option<Permission>,
    ) -> Self {
        let set = |key, value: &dyn ToString| (key, Some(value.to_string()));
        let mut settings = vec![
            set("brokerClusterName", &broker.cluster),
            set("brokerName", &broker.name),
            set("brokerId", &broker.id),
            set("brokerRole", &broker.role),
            set("brokerIP1", &pod_ip),
            set("brokerIP2", &pod_ip),
            set("storePathRootDir", &store.display()),
            // A field of its own, which does not follow the root (`MessageStoreConfig`, all tags).
            set("storePathCommitLog", &store.join("commitlog").display()),
            // 5.1.0+: would look the list up by DNS instead.
            set("fetchNameSrvAddrByDnsLookup", &false),
        ];
        if let Some(permission) = permission {
            settings.push(set(BROKER_PERMISSION, &permission.bits()));
        }
        match broker.list_mode() {
            ListMode::NamesrvAddr => {
                settings.push(set("fetchNamesrvAddrByAddressServer", &false));
                settings.push(set(NAMESRV_ADDR, &list.namesrv_addr()));
                if broker.version.is_some_and(|version| version.has_name_server_update_period()) {
                    settings.push(set(LIST_PERIOD, &UPDATE_PERIOD_MILLIS));
                }
            }
            ListMode::AddressServer => {
                // A broker that has a list asks no address server (`BrokerController.initialize`, all tags).
                settings.push((NAMESRV_ADDR, None));
                settings.push(set("fetchNamesrvAddrByAddressServer", &true));
                settings.push(set("rmqAddressServerDomain", &format!("127.0.0.1:{address_server_port}")));
                settings.push(set("rmqAddressServerSubGroup", &"nsaddr"));
            }
        }
        Self(settings)
    }

    /// A name server's: its KV configuration lies on the volume, where it outlives the container and the agent can
    /// read the namespaces, which no request lists.
    pub fn of_name_server(store: &Path, port: u16) -> Self {
        Self(vec![
            ("listenPort", Some(port.to_string())),
            ("kvConfigPath", Some(store.join(KV_CONFIG).display().to_string())),
        ])
    }

    /// `text` with the owned keys as they must be; `None` if they are so already.
    pub fn correct(&self, text: &str) -> Option<String> {
        let mut properties = Properties::from_java(text);
        if self.0.iter().all(|(key, value)| properties.get(key) == value.as_deref()) {
            return None;
        }
        for (key, value) in &self.0 {
            match value {
                Some(value) => properties.set(*key, value),
                None => drop(properties.remove(key)),
            }
        }
        Some(properties.to_string())
    }
}

/// The name server's KV configuration, in its store folder.
pub const KV_CONFIG: &str = "kvConfig.json";

/// The permission that a broker with these settings has. Absent or unreadable, it is RocketMQ's default.
pub fn permission(settings: &Properties) -> Permission {
    let bits = settings.get(BROKER_PERMISSION).and_then(|bits| bits.trim().parse().ok());
    bits.map_or(Permission::READ_WRITE, Permission::from_bits)
}

/// How often a broker with these settings reads its list of name servers again; 0 where that is no setting, which
/// nobody should take for the period (before 5.3.1).
pub fn list_period_millis(settings: &Properties) -> u64 {
    settings.get(LIST_PERIOD).and_then(|period| period.trim().parse().ok()).unwrap_or_default()
}

/// The port on which a broker with this file listens.
pub fn listen_port(text: &str) -> u16 {
    Properties::from_java(text)
        .get("listenPort")
        .and_then(|port| port.trim().parse().ok())
        .unwrap_or(BROKER_PORT)
}

#[cfg(test)]
mod tests {
    use rocketmq::model::broker::BrokerRole;
    use rocketmq::model::name_server::NameServerEntry;

    use super::*;

    fn owned(version: Option<&str>, addresses: &[&str]) -> OwnedSettings {
        owned_with(version, addresses, None)
    }

    fn owned_with(
        version: Option<&str>,
        addresses: &[&str],
        permission: Option<Permission>,
    ) -> OwnedSettings {
        let broker = Broker {
            cluster: "broker".parse().unwrap(),
            name: "broker-0".parse().unwrap(),
            id: 0,
            role: BrokerRole::AsyncMaster,
            version: version.map(|version| version.parse().unwrap()),
        };
        let entry = |address: &&str| NameServerEntry { address: (*address).into(), pod_ip: String::new() };
        let list = NameServerList { generation: 1, name_servers: addresses.iter().map(entry).collect() };
        let store = Path::new("/var/lib/rocketmq/store");
        OwnedSettings::of_broker(&broker, "10.244.0.9", store, &list, 19880, permission)
    }

    #[test]
    fn the_users_lines_are_kept_and_lose_against_owned_keys() {
        let user = "# as the operator takes it\ndeleteWhen = 04\nbrokerName: mine\nfileReservedTime=48\nnamesrvAddr=x:1\n";
        insta::assert_snapshot!(owned(Some("5.3.3"), &["a:9876", "b:9876"]).correct(user).unwrap(), @r"
        brokerClusterName=broker
        brokerIP1=10.244.0.9
        brokerIP2=10.244.0.9
        brokerId=0
        brokerName=broker-0
        brokerRole=ASYNC_MASTER
        deleteWhen=04
        fetchNameSrvAddrByDnsLookup=false
        fetchNamesrvAddrByAddressServer=false
        fileReservedTime=48
        namesrvAddr=a:9876;b:9876
        storePathCommitLog=/var/lib/rocketmq/store/commitlog
        storePathRootDir=/var/lib/rocketmq/store
        updateNameServerAddrPeriod=5000
        ");
    }

    #[test]
    fn each_version_gets_the_list_in_the_way_it_can_take_live() {
        let check = |version, present: &[&str], absent: &[&str]| {
            let text = owned(version, &["a:9876"]).correct("").unwrap();
            for line in present {
                assert!(text.lines().any(|it| it == *line), "{version:?}: {line} in {text}");
            }
            for key in absent {
                assert!(!text.contains(key), "{version:?}: {key} in {text}");
            }
        };
        let by_file = ["namesrvAddr=a:9876", "fetchNamesrvAddrByAddressServer=false"];
        let period = "updateNameServerAddrPeriod";
        check(Some("5.3.1"), &[&by_file[..], &["updateNameServerAddrPeriod=5000"]].concat(), &["rmqAddress"]);
        check(Some("5.3.0"), &by_file, &[period, "rmqAddress"]);
        check(Some("4.9.4"), &by_file, &[period, "rmqAddress"]);
        let served = ["fetchNamesrvAddrByAddressServer=true", "rmqAddressServerDomain=127.0.0.1:19880"];
        check(Some("4.9.3"), &served, &["namesrvAddr=", period]);
        check(Some("4.5.0"), &served, &["namesrvAddr=", period]);
        check(None, &served, &["namesrvAddr=", period]);
    }

    #[test]
    fn a_permission_is_the_users_unless_an_operation_keeps_one() {
        let user = "brokerPermission=2\n";
        let check = |kept: Option<Permission>, expect| {
            let text = owned_with(Some("5.3.3"), &["a:9876"], kept).correct(user).unwrap();
            assert_eq!(permission(&Properties::from_java(&text)), expect);
        };
        check(None, Permission::from_bits(2));
        check(Some(Permission::READ), Permission::READ);
        check(Some(Permission::READ_WRITE), Permission::READ_WRITE);
        assert_eq!(permission(&Properties::new()), Permission::READ_WRITE);
    }

    #[test]
    fn a_right_file_is_left_alone() {
        let settings = owned(Some("5.3.3"), &["a:9876"]);
        let text = settings.correct("flushDiskType=ASYNC_FLUSH").unwrap();
        assert_eq!(settings.correct(&text), None);
    }

    #[test]
    fn a_file_that_the_broker_rewrote_keeps_every_other_key() {
        let settings = owned(Some("5.3.3"), &["a:9876", "b:9876"]);
        // Configuration.persist writes the keys in no order, and values as they are.
        let mut rewritten: Vec<String> =
            (0..300).map(|number| format!("setting{number}=value {number}")).collect();
        rewritten.push("namesrvAddr=a:9876".into());
        rewritten.push("brokerIP1=10.244.0.8".into());
        rewritten.push("brokerPermission=4".into());
        let corrected = settings.correct(&rewritten.join("\n")).unwrap();
        let read = Properties::from_java(&corrected);
        for number in 0..300 {
            assert_eq!(read.get(&format!("setting{number}")), Some(format!("value {number}").as_str()));
        }
        assert_eq!(read.get("brokerPermission"), Some("4"));
        assert_eq!(read.get("brokerIP1"), Some("10.244.0.9"));
        assert_eq!(read.get("namesrvAddr"), Some("a:9876;b:9876"));
    }

    #[test]
    fn half_a_file_becomes_a_whole_one() {
        let settings = owned(Some("5.3.3"), &["a:9876"]);
        let whole = settings.correct("").unwrap();
        for length in 0..whole.len() {
            let healed = settings.correct(&whole[..length]).unwrap_or_else(|| whole[..length].to_owned());
            let read = Properties::from_java(&healed);
            assert_eq!(read.get("namesrvAddr"), Some("a:9876"), "cut at {length}");
            assert_eq!(read.get("storePathRootDir"), Some("/var/lib/rocketmq/store"), "cut at {length}");
        }
    }

    #[test]
    fn a_name_server_keeps_its_kv_configuration_on_the_volume() {
        let settings = OwnedSettings::of_name_server(Path::new("/var/lib/rocketmq/store"), 9876);
        let text = settings.correct("clusterTest=false\nlistenPort=1\n").unwrap();
        assert_eq!(
            text,
            "clusterTest=false\nkvConfigPath=/var/lib/rocketmq/store/kvConfig.json\nlistenPort=9876\n"
        );
    }

    #[test]
    fn the_users_port_is_found() {
        assert_eq!(listen_port(""), 10911);
        assert_eq!(listen_port("listenPort=10921\n"), 10921);
        assert_eq!(listen_port("listenPort = nonsense"), 10911);
    }
}

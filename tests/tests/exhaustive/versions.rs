//! Broker groups out and in under traffic, on versions and modes of RocketMQ that no promise needs in every run.

use lab::e2e::out_and_in::scales_out_and_in;
use lab::e2e::results::exhaustive;
use lab::e2e::scene::Lane;

use crate::Verdict;

fn scales(row: &str, version: &'static str, modes: &str) -> Verdict {
    let about = format!("Broker groups 2 -> 3 -> 2 under traffic, RocketMQ {version} {modes}");
    exhaustive(row, about.trim_end(), Lane::Main, |scene| scales_out_and_in(scene, version, modes))
}

#[test]
#[ignore = "needs the lab"]
fn broker_groups_scale_out_and_in_under_traffic_on_4_5_0() -> Verdict {
    scales("scale-broker-4-5-0", "4.5.0", "")
}

#[test]
#[ignore = "needs the lab"]
fn broker_groups_scale_out_and_in_under_traffic_on_4_9_7() -> Verdict {
    scales("scale-broker-4-9-7", "4.9.7", "")
}

/// With its files as JSON, which is its default.
#[test]
#[ignore = "needs the lab"]
fn broker_groups_scale_out_and_in_under_traffic_on_5_4_0() -> Verdict {
    scales("scale-broker-5-4-0", "5.4.0", "")
}

/// It reads files into RocksDB where their version is above 0 (seen on 5.3.3 and 5.4.0).
#[test]
#[ignore = "needs the lab"]
fn broker_groups_scale_out_and_in_under_traffic_on_5_4_0_with_a_store_in_rocksdb() -> Verdict {
    scales("scale-broker-5-4-0-rocksdb", "5.4.0", "storeType=defaultRocksDB")
}

/// It reads no files at all (seen on 5.3.3 and 5.4.0).
#[test]
#[ignore = "needs the lab"]
fn broker_groups_scale_out_and_in_under_traffic_on_5_4_0_with_configuration_of_v2() -> Verdict {
    scales("scale-broker-5-4-0-v2", "5.4.0", "configManagerVersion=v2")
}

//! Broker groups 2 -> 3 -> 2 under traffic.

use lab::e2e::out_and_in::scales_out_and_in;
use lab::e2e::scene::{Lane, scene};

use crate::Verdict;

#[test]
#[ignore = "needs the lab"]
fn broker_groups_scale_out_and_in_under_traffic_on_5_3_3() -> Verdict {
    scene("scale-broker-5-3-3", Lane::Main, |scene| scales_out_and_in(scene, "5.3.3", ""))
}

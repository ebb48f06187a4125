//! The Lease: one holder, a fence that counts, taken over after its time, or at once from the dead.

use std::process::{Command, Stdio};
use std::time::Duration;

use saga::{ClusterLock, LockError};
use serde_json::json;

use crate::holder::Process;
use crate::lease::KubernetesLease;
use crate::tests::fake_api::{FakeApi, Fault};

const LEASE: &str = "leases/rocketmq-demo";

fn lease(api: &FakeApi, holder: &str) -> KubernetesLease {
    KubernetesLease::new(&api.cluster(), "demo").with_holder(holder)
}

fn held(holder: &str, age: u64) -> Result<u64, LockError> {
    Err(LockError::Held { holder: holder.to_owned(), age: Duration::from_secs(age) })
}

#[tokio::test]
async fn the_second_is_refused_with_holder_and_age_and_every_acquisition_raises_the_fence() {
    let api = FakeApi::default();
    let (one, two) = (lease(&api, "one"), lease(&api, "two"));
    assert_eq!(one.acquire().await, Ok(1));
    api.pass(7);
    assert_eq!(two.acquire().await, held("one", 7));
    one.release().await.unwrap();
    assert_eq!(two.acquire().await, Ok(2));
    two.release().await.unwrap();
    assert_eq!(one.acquire().await, Ok(3));
    let stored = api.stored(LEASE).unwrap();
    assert_eq!(stored["spec"]["leaseTransitions"], 3);
    assert_eq!(stored["spec"]["leaseDurationSeconds"], 45);
    assert_eq!(stored["metadata"]["labels"]["app.kubernetes.io/instance"], "demo");
}

#[tokio::test]
async fn a_renewed_lease_is_kept_and_one_that_was_not_is_taken_over_after_its_time() {
    let api = FakeApi::default();
    let (one, two) = (lease(&api, "one"), lease(&api, "two"));
    one.acquire().await.unwrap();
    for _ in 0..10 {
        api.pass(10);
        one.renew().await.unwrap();
    }
    api.pass(45);
    assert_eq!(two.acquire().await, held("one", 45));
    api.pass(1);
    assert_eq!(two.acquire().await, Ok(2));
    let lost = LockError::Lost { holder: "two".to_owned() };
    assert_eq!(one.renew().await, Err(lost.clone()));
    assert_eq!(one.release().await, Err(lost));
    assert_eq!(api.stored(LEASE).unwrap()["spec"]["holderIdentity"], "two");
}

#[tokio::test]
async fn somebodys_note_on_the_lease_does_not_lose_it() {
    let api = FakeApi::default();
    let one = lease(&api, "one");
    one.acquire().await.unwrap();
    api.touch(LEASE, |lease| lease["metadata"]["annotations"] = json!({"note": "x"}));
    one.renew().await.unwrap();
    assert_eq!(api.stored(LEASE).unwrap()["metadata"]["annotations"]["note"], "x");
}

#[tokio::test(start_paused = true)]
async fn lost_answers_lose_no_lease() {
    let api = FakeApi::default();
    let one = lease(&api, "one");
    // Read, time, create with a lost answer, create again: there is one. Read, time, replace: it is ours.
    api.fault(&[None, None, Some(Fault::Lost)]);
    assert_eq!(one.acquire().await, Ok(2));
    // Time, replace with a lost answer, a conflict with that: it is ours.
    api.fault(&[None, Some(Fault::Lost)]);
    one.renew().await.unwrap();
    // Nobody answers for longer than a renewal may take: an error, but the lease is kept.
    api.fault(&[Some(Fault::Away); 8]);
    assert!(matches!(one.renew().await, Err(LockError::Failed { .. })));
    api.forget_faults();
    one.renew().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_written_renewal_that_was_given_up_and_a_lost_answer_keep_no_lease_from_its_release() {
    let api = FakeApi::default();
    let one = lease(&api, "one");
    one.acquire().await.unwrap();
    // As the API sees it: the write of a renewal whose answer nobody waited for. Then replace, read, replace with
    // a lost answer, replace, read.
    api.touch(LEASE, |lease| lease["spec"]["renewTime"] = json!("1970-01-01T00:00:10.000000Z"));
    api.fault(&[None, None, Some(Fault::Lost)]);
    one.release().await.unwrap();
    assert_eq!(api.stored(LEASE).unwrap()["spec"]["holderIdentity"], json!(null));
}

#[tokio::test]
async fn a_lease_that_is_gone_is_lost_and_a_removed_one_is_gone() {
    let api = FakeApi::default();
    let one = lease(&api, "one");
    one.acquire().await.unwrap();
    one.remove().await.unwrap();
    assert_eq!(api.stored(LEASE), None);
    assert_eq!(one.renew().await, Err(LockError::Lost { holder: "nobody".to_owned() }));
}

#[tokio::test]
async fn every_process_has_a_name_of_its_own() {
    let api = FakeApi::default();
    let holder = || format!("{:?}", KubernetesLease::new(&api.cluster(), "demo"));
    assert_ne!(holder(), holder());
}

#[tokio::test]
async fn a_lease_that_was_deleted_by_hand_goes_on_above_every_fence_before() {
    let api = FakeApi::default();
    let mut highest = 0;
    for _ in 0..3 {
        api.pass(3600);
        let one = lease(&api, "one");
        let fence = one.acquire().await.unwrap();
        assert!(fence > highest, "{fence} > {highest}");
        highest = fence;
        one.remove().await.unwrap();
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_process_of_this_machine_is_waited_for_while_it_lives_and_not_once_it_is_dead() {
    let api = FakeApi::default();
    // It lives until its input ends.
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let process = Process::of(child.id()).unwrap();
    let (one, two) =
        (lease(&api, &format!("jane@laptop/{}-1a2b3c4d{process}", child.id())), lease(&api, "two"));
    let told = format!("jane@laptop/{}", child.id());
    assert_eq!(one.acquire().await, Ok(1));
    api.pass(7);
    assert_eq!(two.acquire().await, held(&told, 7));
    let holders = || async { api.cluster().lock_holders().await.unwrap() };
    assert_eq!(holders().await["demo"], (told, Duration::from_secs(7)));

    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(holders().await.len(), 0, "nobody is changing the cluster");
    assert_eq!(two.acquire().await, Ok(2));
    // It may have been another process after all: then it has lost the Lease, and agents obey the higher fence.
    assert_eq!(one.renew().await, Err(LockError::Lost { holder: "two".to_owned() }));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_process_of_elsewhere_is_waited_for_also_if_nobody_here_has_its_pid() {
    let api = FakeApi::default();
    let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let holder = format!("jane@laptop/{pid}-1a2b3c4d;boot=another;pidns=4026531836;pid={pid};start=760");
    lease(&api, &holder).acquire().await.unwrap();
    let two = lease(&api, "two");
    assert_eq!(two.acquire().await, held(&format!("jane@laptop/{pid}"), 0));
    api.pass(46);
    assert_eq!(two.acquire().await, Ok(2));
}

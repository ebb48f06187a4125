use super::*;

#[test]
fn a_description_comes_back_as_it_went() {
    let registration = |owner| Registration {
        name_server: "a:9876".into(),
        owner,
        reason: "reason".into(),
        since_millis: 7,
    };
    for (role, mode) in [(Role::Broker, ListMode::AddressServer), (Role::NameServer, ListMode::NamesrvAddr)] {
        let describe = Describe {
            role,
            pod_name: "pod".into(),
            pod_uid: "uid".into(),
            agent_version: "0.1.0".into(),
            protocol: crate::PROTOCOL,
            cluster: "demo".into(),
            highest_fence: 3,
            has_key: true,
            desired: Some(NameServerList {
                generation: 4,
                name_servers: vec![NameServerEntry { address: "a:9876".into(), pod_ip: "10.0.0.1".into() }],
            }),
            list: Some(BrokerList {
                mode,
                file: vec!["a:9876".into()],
                live: vec!["b:9876".into()],
                live_since_millis: 5,
                registrations: [Owner::Broker, Owner::Bridge, Owner::Nobody, Owner::Unreachable]
                    .map(registration)
                    .into(),
            }),
            gate: Some(Gate { open: false, waiting_for: "a list".into() }),
            process: Process {
                answers: true,
                problem: String::new(),
                version: 479,
                boot_timestamp_millis: 8,
                list_period_millis: 5_000,
            },
            volume: Some(Volume { path: "/var".into(), total_bytes: 2, free_bytes: 1 }),
            metadata: Some(MetadataState {
                awaited: "1a2b3c4d".into(),
                committed: "99999999".into(),
                earlier_store: "/store".into(),
                receiving_sha256: "ab".into(),
                verified_bytes: 6,
            }),
        };
        assert_eq!(Describe::try_from(pb::DescribeResponse::from(describe.clone())), Ok(describe));
    }
}

#[test]
fn a_group_comes_back_as_it_went_and_that_of_an_older_agent_tells_no_holdings() {
    let group = OnlineGroup {
        group: "billing".into(),
        clients: vec!["one".into(), "other".into()],
        silent_clients: vec!["other".into()],
        unheld_queues: vec!["orders:1".into()],
        holdings: vec![Holding { client: "one".into(), queues_by_broker: [("demo-0".into(), 3)].into() }],
    };
    let message = pb::OnlineGroup::from(group.clone());
    assert_eq!(OnlineGroup::from(message.clone()), group);
    let older = pb::OnlineGroup { holdings: Vec::new(), ..message };
    assert_eq!(OnlineGroup::from(older), OnlineGroup { holdings: Vec::new(), ..group });
}

fn prepared() -> PreparedExport {
    let table = |entries: u8| TableDigest { entries: entries.into(), digest: [entries; 32] };
    PreparedExport {
        bundle: BundleDescription {
            sha256: "ab".into(),
            bytes: 7,
            topics: table(1),
            groups: table(2),
            request_modes: table(3),
            offsets: 4,
            registration_bytes: 5,
        },
        ordered_topics: vec!["order".into()],
        cluster: "demo".into(),
        broker_name: "demo-0".into(),
        version: 479,
    }
}

#[test]
fn a_prepared_export_comes_back_as_it_went() {
    let message = pb::PrepareExportResponse::from(prepared());
    assert_eq!(PreparedExport::try_from(message), Ok(prepared()));
}

#[test]
fn a_commit_comes_back_as_it_went_without_its_fence() {
    for old_data in [OldData::Refuse, OldData::Keep, OldData::Aside] {
        let commit =
            Commit { token: "1a2b3c4d".into(), sha256: "ab".into(), old_data, permission: Permission::READ };
        let message = pb::CommitMetadataRequest::from(commit.clone());
        assert_eq!(message.fence, None);
        assert_eq!(Commit::try_from(message), Ok(commit));
    }
    let unsaid = pb::CommitMetadataRequest::default();
    assert_eq!(Commit::try_from(unsaid), Err(InvalidMessage { field: "old_data" }));
}

#[test]
fn a_bundle_without_a_table_or_with_half_a_digest_is_refused() {
    let check = |change: fn(&mut pb::BundleDescription), field| {
        let mut bundle = pb::BundleDescription::from(prepared().bundle);
        change(&mut bundle);
        assert_eq!(BundleDescription::try_from(bundle), Err(InvalidMessage { field }));
    };
    check(|bundle| bundle.topics = None, "topics");
    check(|bundle| bundle.groups = None, "groups");
    check(|bundle| bundle.request_modes = None, "request_modes");
    check(|bundle| bundle.topics.as_mut().unwrap().digest.truncate(31), "digest");
    assert_eq!(
        PreparedExport::try_from(pb::PrepareExportResponse::default()),
        Err(InvalidMessage { field: "bundle" })
    );
}

#[test]
fn unknown_values_and_missing_parts_are_refused() {
    let check = |message: pb::DescribeResponse, field| {
        assert_eq!(Describe::try_from(message), Err(InvalidMessage { field }));
    };
    let role = pb::Role::Broker.into();
    check(pb::DescribeResponse::default(), "role");
    check(pb::DescribeResponse { role: 99, ..Default::default() }, "role");
    check(pb::DescribeResponse { role, ..Default::default() }, "protocol");
    let protocol = Some(crate::PROTOCOL.into());
    check(pb::DescribeResponse { role, protocol, ..Default::default() }, "process");
    let list = Some(pb::BrokerList::default());
    check(pb::DescribeResponse { role, protocol, list, ..Default::default() }, "mode");
}

#[test]
fn a_backlog_comes_back_as_it_went() {
    let kinds = [
        Kind::Unread,
        Kind::Retry,
        Kind::Delayed,
        Kind::Timer,
        Kind::Half,
        Kind::Pop,
        Kind::Lmq,
        Kind::DeadLetter,
        Kind::Broadcast,
    ];
    let row = |kind: Kind| Row {
        kind,
        topic: format!("topic of {}", kind.word()),
        group: "billing".into(),
        messages: 7,
        offline: true,
        clients: vec!["client@10.0.0.9:40000".into()],
        detail: "level 16 (1h)".into(),
    };
    let backlog = Backlog {
        rows: kinds.map(row).into(),
        unknown: vec!["topic `orders`".into()],
        boot_timestamp_millis: 5,
        permission: 4,
        written: 9,
    };
    assert_eq!(Backlog::try_from(pb::BacklogResponse::from(backlog.clone())), Ok(backlog));
    let unsaid = pb::BacklogResponse { rows: vec![pb::BacklogRow::default()], ..Default::default() };
    assert_eq!(Backlog::try_from(unsaid), Err(InvalidMessage { field: "kind" }));
}

//! Fakes in which documents are applied already.

use agents::types::{NameServerEntry, NameServerList};
use futures::FutureExt;
use k8s::kinds::parse;
use k8s::names;
use k8s::record::Record;

use super::{FakeWorld, NAMESPACE, ip};
use crate::operations::apply::{Params, PlannedChange, gather, plan};
use crate::operations::known::Known;
use crate::steps::name_servers::ListSource;
use crate::steps::objects::ObjectName;

/// The parameters of the one creation that a text asks for on this world.
pub(crate) fn apply_params(world: &FakeWorld, text: &str) -> Params {
    let parsed = parse(text).unwrap();
    let inventory = gather(world, &parsed).now_or_never().unwrap().unwrap();
    let planned = plan(&inventory, &parsed, "rocketmq-agent:0.1.0", None).unwrap();
    match <[PlannedChange; 1]>::try_from(planned.changes) {
        Ok([PlannedChange::Create(params)]) => *params,
        other => panic!("not one creation: {other:?}"),
    }
}

/// A world in which a text is applied.
pub(crate) fn applied(text: &str) -> FakeWorld {
    let world = FakeWorld::default();
    let params = apply_params(&world, text);
    let mut record = Record::new(&params.followers.cluster);
    record.documents.clone_from(&params.documents);
    record.inventory = params.objects().map(k8s::objects::Object::reference).collect();
    record.resource_version = Some("1".to_owned());
    let name_servers = match params.list.clone().unwrap() {
        ListSource::Dns { stateful_set, size, .. } | ListSource::PodIp { stateful_set, size } => (0..size)
            .map(|ordinal| NameServerEntry {
                address: names::name_server_address(&stateful_set, ordinal, NAMESPACE),
                pod_ip: ip(&names::pod(&stateful_set, ordinal)),
            })
            .collect(),
        ListSource::Literal { addresses } => {
            addresses.into_iter().map(|address| NameServerEntry { address, pod_ip: String::new() }).collect()
        }
    };
    record.name_servers = Some(NameServerList { generation: 1, name_servers });
    let objects = params.objects().map(|object| {
        let mut object = object.clone();
        object.resource_version = Some("1".to_owned());
        object.uid = Some(format!("uid-{}", object.name));
        (ObjectName { kind: object.kind, name: object.name.clone() }, object)
    });
    let objects = objects.collect();
    world.with(|state| {
        state.objects = objects;
        state.keys.insert(record.cluster.clone());
        state.records.insert(record.cluster.clone(), record);
        state.writes = 1;
        for object in params.objects() {
            state.start(&object.name);
        }
    })
}

/// The cluster of a world that has one.
pub(crate) fn known(world: &FakeWorld) -> Known {
    let all = Known::all(world).now_or_never().unwrap().unwrap();
    <[Known; 1]>::try_from(all).unwrap().into_iter().next().unwrap()
}

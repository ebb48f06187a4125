//! Objects, record and key: preconditions, lost answers, an API that is away.

use futures::future::BoxFuture;
use saga::{Permit, check};
use serde_json::json;

use crate::client::Cluster;
use crate::error::{ApiError, ApiErrorKind};
use crate::objects::{Kind, Object};
use crate::record::Record;
use crate::tests::fake_api::{FakeApi, Fault, version_info};

const STATEFUL_SET: &str = "/apis/apps/v1/namespaces/mq/statefulsets/demo";

fn wanted() -> Object {
    Object::new(Kind::StatefulSet, "mq", "demo").with_field("spec", json!({"replicas": 1}))
}

/// Makes changing calls; the permit comes from saga's executor.
async fn change<T: Send + 'static>(
    api: &FakeApi,
    call: impl for<'a> FnOnce(&'a Cluster, &'a Permit) -> BoxFuture<'a, Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let cluster = api.cluster();
    check::under_permit(move |permit| Box::pin(async move { call(&cluster, permit).await })).await.unwrap()
}

async fn created(api: &FakeApi) -> Object {
    change(api, |cluster, permit| Box::pin(async move { cluster.create(permit, &wanted()).await }))
        .await
        .unwrap();
    api.requests();
    api.cluster().object(Kind::StatefulSet, "demo").await.unwrap().unwrap()
}

#[tokio::test]
async fn an_object_is_created_read_and_deleted() {
    let api = FakeApi::default();
    assert_eq!(api.cluster().object(Kind::StatefulSet, "demo").await.unwrap(), None);
    let object = created(&api).await;
    assert!(object.has_content_of(&wanted()));
    let again =
        change(&api, |cluster, permit| Box::pin(async move { cluster.create(permit, &wanted()).await }));
    assert_eq!(again.await.unwrap_err().kind, ApiErrorKind::Exists);
    for _ in 0..2 {
        let object = object.clone();
        change(&api, |cluster, permit| Box::pin(async move { cluster.delete(permit, &object).await }))
            .await
            .unwrap();
    }
    assert_eq!(api.stored("statefulsets/demo"), None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_found_by_looking() {
    let api = FakeApi::default();
    api.cluster().namespace_exists().await.unwrap();
    let done = change(&api, |cluster, permit| {
        Box::pin(async move {
            cluster.namespace_exists().await?;
            cluster.create(permit, &wanted()).await
        })
    });
    api.fault(&[None, Some(Fault::Lost)]);
    done.await.unwrap();
    let object = api.cluster().object(Kind::StatefulSet, "demo").await.unwrap().unwrap();
    api.fault(&[None, Some(Fault::Lost)]);
    let done = change(&api, |cluster, permit| {
        Box::pin(async move {
            cluster.namespace_exists().await?;
            cluster.replace(permit, &object.with_replicas(3)).await
        })
    });
    done.await.unwrap();
    assert_eq!(api.stored("statefulsets/demo").unwrap()["spec"]["replicas"], 3);
}

#[tokio::test]
async fn a_status_that_changed_is_no_conflict_a_spec_is() {
    let api = FakeApi::default();
    let object = created(&api).await;
    api.touch("statefulsets/demo", |object| object["status"] = json!({"readyReplicas": 1}));
    let scaled = object.clone().with_replicas(3);
    change(&api, |cluster, permit| Box::pin(async move { cluster.replace(permit, &scaled).await }))
        .await
        .unwrap();
    assert_eq!(api.stored("statefulsets/demo").unwrap()["spec"]["replicas"], 3);

    let stale = object.clone().with_replicas(2);
    let error =
        change(&api, |cluster, permit| Box::pin(async move { cluster.replace(permit, &stale).await }));
    assert_eq!(error.await.unwrap_err().kind, ApiErrorKind::Conflict);
    let error =
        change(&api, |cluster, permit| Box::pin(async move { cluster.delete(permit, &object).await }));
    assert_eq!(error.await.unwrap_err().kind, ApiErrorKind::Conflict);
    assert_eq!(api.stored("statefulsets/demo").unwrap()["spec"]["replicas"], 3);
}

#[tokio::test]
async fn another_object_of_the_same_name_is_not_deleted() {
    let api = FakeApi::default();
    let mut object = created(&api).await;
    object.uid = Some("other".to_owned());
    let error =
        change(&api, |cluster, permit| Box::pin(async move { cluster.delete(permit, &object).await }));
    assert_eq!(error.await.unwrap_err().kind, ApiErrorKind::Conflict);
    assert!(api.stored("statefulsets/demo").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_api_that_comes_back_is_waited_for_and_one_that_does_not_is_given_up() {
    let api = FakeApi::default();
    let cluster = api.cluster();
    api.fault(&[Some(Fault::Code(503)), Some(Fault::Code(429)), None, Some(Fault::Away), Some(Fault::Away)]);
    assert!(cluster.object(Kind::StatefulSet, "demo").await.unwrap().is_none());
    assert!(cluster.object(Kind::StatefulSet, "demo").await.unwrap().is_none());
    assert_eq!(api.requests().len(), 6);

    api.fault(&[Some(Fault::Away); 100]);
    let start = tokio::time::Instant::now();
    let error = cluster.object(Kind::StatefulSet, "demo").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unreachable);
    assert_eq!(error.message, "no Kubernetes cluster answers at the Kubernetes API");
    assert!((50..=60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_api_that_never_answered_and_a_refusal_are_told_at_once() {
    let api = FakeApi::default();
    api.fault(&[Some(Fault::Away)]);
    let error = api.cluster().object(Kind::StatefulSet, "demo").await.unwrap_err();
    assert_eq!(error.causes(), ["cannot read StatefulSet/demo", "connection refused"]);
    api.fault(&[Some(Fault::Code(403))]);
    let error = api.cluster().object(Kind::StatefulSet, "demo").await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Forbidden);
    assert_eq!(error.message, "cannot read StatefulSet/demo in namespace `mq`");
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn a_dry_run_says_what_would_fail() {
    let api = FakeApi::default();
    created(&api).await;
    let error = api.cluster().dry_run_create(&wanted()).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Exists);
}

#[tokio::test]
async fn an_old_kubernetes_is_refused_with_its_version() {
    let api = FakeApi::default();
    assert_eq!(api.cluster().server_version().await.unwrap(), "v1.34.0");
    api.put("/version", version_info("1", "28+"));
    let error = api.cluster().server_version().await.unwrap_err();
    assert_eq!(
        error.message,
        "Kubernetes v1.28+.0 is too old: sidecars that start before the broker need 1.29"
    );
}

#[tokio::test]
async fn a_record_that_somebody_else_wrote_is_not_overwritten() {
    let api = FakeApi::default();
    let write = |record: Record| {
        change(&api, move |cluster, permit| {
            Box::pin(async move { cluster.write_record(permit, &record).await })
        })
    };
    write(Record::new("demo")).await.unwrap();
    let mut ours = api.cluster().record("demo").await.unwrap().unwrap();
    let theirs = ours.clone();
    ours.documents.insert("nameservice/demo".to_owned(), "a".to_owned());
    write(ours.clone()).await.unwrap();
    assert_eq!(write(theirs).await.unwrap_err().kind, ApiErrorKind::Conflict);
    let stored = api.cluster().records().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].documents, ours.documents);
    change(&api, |cluster, permit| Box::pin(async move { cluster.delete_record(permit, "demo").await }))
        .await
        .unwrap();
    assert_eq!(api.cluster().record("demo").await.unwrap(), None);
}

#[tokio::test]
async fn a_cluster_keeps_the_key_it_has() {
    let api = FakeApi::default();
    let create =
        || change(&api, |cluster, permit| Box::pin(async move { cluster.create_key(permit, "demo").await }));
    assert_eq!(api.cluster().agent_key("demo").await.unwrap(), None);
    create().await.unwrap();
    let key = api.cluster().agent_key("demo").await.unwrap().unwrap();
    create().await.unwrap();
    assert_eq!(api.cluster().agent_key("demo").await.unwrap(), Some(key));
    change(&api, |cluster, permit| Box::pin(async move { cluster.delete_key(permit, "demo").await }))
        .await
        .unwrap();
    assert_eq!(api.cluster().agent_key("demo").await.unwrap(), None);
}

#[tokio::test]
async fn objects_are_listed_by_label() {
    let api = FakeApi::default();
    let labelled = |name: &str| {
        Object::new(Kind::StatefulSet, "mq", name)
            .with_labels([("app".to_owned(), name.to_owned())].into())
            .to_manifest()
    };
    api.put(STATEFUL_SET, labelled("demo"));
    api.put("/apis/apps/v1/namespaces/mq/statefulsets/other", labelled("other"));
    let found = api.cluster().list(Kind::StatefulSet, "app=demo").await.unwrap();
    assert_eq!(found.iter().map(Object::reference).collect::<Vec<_>>(), ["StatefulSet/demo"]);
}

//! A Kubernetes API in memory, behind the client's own tower service: objects with resourceVersions, generations and
//! preconditions, and answers that fail or get lost.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

use crate::client::Cluster;

/// What happens to a request instead of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is refused with this code.
    Code(u16),
    /// Nobody answers.
    Away,
    /// It is done, but the answer is lost.
    Lost,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    faults: VecDeque<Option<Fault>>,
    requests: Vec<String>,
    now: Timestamp,
}

/// The API; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
}

type Answer = (u16, Value);

impl FakeApi {
    /// A client of it, in namespace `mq`.
    pub(crate) fn cluster(&self) -> Cluster {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { api.answer(request).await }
        });
        Cluster::from_client(Client::new(service, "mq"), "mq")
    }

    /// What happens to the next requests; `None` is an answer.
    pub(crate) fn fault(&self, faults: &[Option<Fault>]) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    /// From now on every request is answered.
    pub(crate) fn forget_faults(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// Lets the API's clock go on.
    pub(crate) fn pass(&self, seconds: i64) {
        let mut state = self.state.lock().unwrap();
        state.now += SignedDuration::from_secs(seconds);
    }

    /// The requests since the last look, `GET /api/v1/...`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// An object by the end of its path.
    pub(crate) fn stored(&self, path: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state.objects.iter().find(|(key, _)| key.ends_with(path)).map(|(_, object)| object.clone())
    }

    /// The names of all objects of a kind.
    pub(crate) fn names(&self, plural: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let of_kind = state.objects.keys().filter_map(|key| key.rsplit_once(&format!("/{plural}/")));
        of_kind.map(|(_, name)| name.to_owned()).collect()
    }

    /// Puts an object as somebody else would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.state.lock().unwrap().store(path, object);
    }

    /// Changes an object as a controller would: a new resourceVersion, and no generation for its status.
    pub(crate) fn touch(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state.lock().unwrap();
        let key = state.objects.keys().find(|key| key.ends_with(path)).unwrap().clone();
        let mut object = state.objects[&key].clone();
        change(&mut object);
        state.store(&key, object);
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.map_err(io::Error::other)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let mut state = self.state.lock().unwrap();
        let path = parts.uri.path().to_owned();
        state.requests.push(format!("{} {path}", parts.method));
        let away = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let fault = state.faults.pop_front().flatten();
        let (code, answer) = match fault {
            Some(Fault::Away) => return Err(away()),
            Some(Fault::Code(code)) => (code, failure(code, "", "not now")),
            Some(Fault::Lost) | None => {
                state.act(&parts.method, &path, parts.uri.query().unwrap_or(""), body)
            }
        };
        if matches!(fault, Some(Fault::Lost)) {
            return Err(away());
        }
        let date = state.now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let response = Response::builder().status(code).header(http::header::DATE, date);
        Ok(response.body(Body::from(answer.to_string().into_bytes())).unwrap())
    }
}

impl State {
    fn act(&mut self, method: &Method, path: &str, query: &str, body: Value) -> Answer {
        if path == "/version" {
            let version = self.objects.get("/version").cloned();
            return (200, version.unwrap_or_else(|| version_info("1", "34")));
        }
        match *method {
            Method::GET if is_collection(path) => (200, self.list(path, query)),
            Method::GET => self.objects.get(path).map_or_else(not_found, |object| (200, object.clone())),
            Method::POST => self.create(path, body),
            Method::PUT => self.change(path, &body, |_| body.clone()),
            Method::PATCH => self.change(path, &body, |present| merged(present, &body)),
            Method::DELETE => self.delete(path, &body),
            _ => (405, failure(405, "MethodNotAllowed", "no")),
        }
    }

    fn list(&self, path: &str, query: &str) -> Value {
        let selector = selector_of(query);
        let chosen = |object: &&Value| {
            selector.iter().all(|(key, value)| object["metadata"]["labels"][key].as_str() == Some(value))
        };
        let inside =
            self.objects.iter().filter(|(key, _)| key.rsplit_once('/').is_some_and(|(list, _)| list == path));
        let items: Vec<&Value> = inside.map(|(_, object)| object).filter(chosen).collect();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items})
    }

    fn create(&mut self, path: &str, body: Value) -> Answer {
        let key = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap_or_default());
        if self.objects.contains_key(&key) {
            return (409, failure(409, "AlreadyExists", "it exists"));
        }
        (201, self.store(&key, body))
    }

    fn change(&mut self, path: &str, body: &Value, change: impl FnOnce(&Value) -> Value) -> Answer {
        let Some(present) = self.objects.get(path) else { return not_found() };
        let seen = &body["metadata"]["resourceVersion"];
        if !seen.is_null() && *seen != present["metadata"]["resourceVersion"] {
            return (409, failure(409, "Conflict", "the object has been modified"));
        }
        let changed = change(present);
        (200, self.store(path, changed))
    }

    fn delete(&mut self, path: &str, body: &Value) -> Answer {
        let Some(present) = self.objects.get(path) else { return not_found() };
        for field in ["uid", "resourceVersion"] {
            let wanted = &body["preconditions"][field];
            if !wanted.is_null() && *wanted != present["metadata"][field] {
                return (409, failure(409, "Conflict", "the precondition does not hold"));
            }
        }
        let gone = self.objects.remove(path).unwrap_or_default();
        (200, gone)
    }

    fn store(&mut self, key: &str, mut object: Value) -> Value {
        self.version += 1;
        let former = self.objects.get(key).cloned();
        let generation = former.as_ref().map_or(1, |former| {
            let changed = i64::from(former["spec"] != object["spec"]);
            former["metadata"]["generation"].as_i64().unwrap_or(0) + changed
        });
        let counts = object["kind"] == "StatefulSet";
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(self.version.to_string()));
            let uid = former.map_or_else(
                || json!(format!("uid-{}", self.version)),
                |former| former["metadata"]["uid"].clone(),
            );
            metadata.insert("uid".to_owned(), uid);
            if counts {
                metadata.insert("generation".to_owned(), json!(generation));
            }
        }
        self.objects.insert(key.to_owned(), object.clone());
        object
    }
}

/// The answer of `/version`.
pub(crate) fn version_info(major: &str, minor: &str) -> Value {
    let mut info: Map<String, Value> =
        ["gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"]
            .map(|key| (key.to_owned(), json!("")))
            .into_iter()
            .collect();
    info.insert("major".to_owned(), json!(major));
    info.insert("minor".to_owned(), json!(minor));
    info.insert("gitVersion".to_owned(), json!(format!("v{major}.{minor}.0")));
    Value::Object(info)
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn not_found() -> Answer {
    (404, failure(404, "NotFound", "it is not there"))
}

fn is_collection(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    [
        "configmaps",
        "endpointslices",
        "events",
        "leases",
        "nodes",
        "pods",
        "secrets",
        "services",
        "statefulsets",
    ]
    .contains(&last)
}

fn merged(present: &Value, patch: &Value) -> Value {
    match (present, patch) {
        (Value::Object(present), Value::Object(patch)) => {
            let mut whole = present.clone();
            for (key, value) in patch {
                let value = present.get(key).map_or_else(|| value.clone(), |present| merged(present, value));
                whole.insert(key.clone(), value);
            }
            Value::Object(whole)
        }
        _ => patch.clone(),
    }
}

fn selector_of(query: &str) -> Vec<(String, String)> {
    let selector = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector=")).unwrap_or_default();
    let selector = selector.replace("%2F", "/").replace("%3D", "=").replace("%2C", ",");
    let pairs = selector.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

//! The connection to a Kubernetes cluster: every call has a limit, and is tried again while the API is away.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject};
use kube::client::Body;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use rocketmq::text::error_chain;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connection;
use crate::error::{About, ApiError, ApiErrorKind};
use crate::names;
use crate::objects::Kind;

/// How long one request may take when the user does not say.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call is tried again while the API does not answer: the restart of an API server, and some.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// The first pause between two tries; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The oldest Kubernetes that starts init containers with `restartPolicy: Always` without a feature gate.
const OLDEST: (u32, u32) = (1, 29);

/// A Kubernetes cluster and the namespace of this run. Clones share the connection.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    namespace: String,
    server: String,
    request_timeout: Duration,
    /// True once something has answered: before that an error is the user's to know at once.
    reached: Arc<AtomicBool>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Prepares the connection that kubectl's files and flags describe. Nothing is asked yet.
    ///
    /// # Errors
    /// When they describe none.
    pub async fn connect(connection: &Connection) -> Result<Self, ApiError> {
        let mut config: Config = connection.config().await?;
        let agent = HeaderValue::from_static(concat!("kubectl-rocketmq/", env!("CARGO_PKG_VERSION")));
        config.headers.push((http::header::USER_AGENT, agent));
        let (namespace, server) = (config.default_namespace.clone(), config.cluster_url.to_string());
        let client = Client::try_from(config).map_err(|error| {
            ApiError::new(ApiErrorKind::Configuration, format!("no connection to {server} can be made"))
                .because(error_chain(&error))
        })?;
        let mut cluster = Self::from_client(client, &namespace);
        server.trim_end_matches('/').clone_into(&mut cluster.server);
        // As with kubectl, 0 means no limit; an hour is none for a single request.
        match connection.request_timeout {
            None => {}
            Some(Duration::ZERO) => cluster.request_timeout = Duration::from_secs(3600),
            Some(limit) => cluster.request_timeout = limit,
        }
        Ok(cluster)
    }

    /// On a client that exists already, for tests.
    #[must_use]
    pub fn from_client(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            server: "the Kubernetes API".to_owned(),
            request_timeout: REQUEST_TIMEOUT,
            reached: Arc::default(),
        }
    }

    /// The same cluster, another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// The namespace of this run.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where the API is.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The version of Kubernetes, `v1.34.4`.
    ///
    /// # Errors
    /// When nothing answers, or the cluster is older than 1.29.
    pub async fn server_version(&self) -> Result<String, ApiError> {
        let info =
            self.call("cannot ask the version of Kubernetes", || self.client.apiserver_version()).await?;
        let number = |text: &str| text.trim_end_matches('+').parse::<u32>().unwrap_or(u32::MAX);
        if (number(&info.major), number(&info.minor)) < OLDEST {
            let message = format!(
                "Kubernetes {} is too old: sidecars that start before the broker need {}.{}",
                info.git_version, OLDEST.0, OLDEST.1
            );
            return Err(ApiError::new(ApiErrorKind::TooOld, message));
        }
        Ok(info.git_version)
    }

    /// The API server's clock, to the second; this machine's own where the answer carries no date.
    pub(crate) async fn server_time(&self) -> Result<Timestamp, ApiError> {
        let request = || async {
            let request =
                http::Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError)?;
            self.client.send(request).await
        };
        let answer = self.call("cannot ask the time of the Kubernetes API", request).await?;
        let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        #[expect(clippy::disallowed_methods, reason = "where the API server tells no time")]
        Ok(date.map_or_else(Timestamp::now, |date| date.timestamp()))
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn dynamic_api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    pub(crate) fn dynamic_api_everywhere(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(kind))
    }

    fn about<'a>(&'a self, act: &'a str) -> About<'a> {
        About { act, namespace: &self.namespace, server: &self.server }
    }

    /// One try.
    pub(crate) async fn call_once<T>(
        &self,
        act: &str,
        limit: Duration,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ApiError> {
        let about = self.about(act);
        match timeout(limit, call).await {
            Err(_) => Err(ApiError::timed_out(&about, limit)),
            Ok(result) => {
                if !matches!(result, Err(kube::Error::Service(_) | kube::Error::HyperError(_))) {
                    self.reached.store(true, Ordering::Relaxed);
                }
                result.map_err(|error| ApiError::from_kube(&about, &error))
            }
        }
    }

    /// A call that may be made again: tried until it is answered, or [`RETRY_FOR`] has passed.
    pub(crate) async fn call<T, F, Fut>(&self, act: &str, call: F) -> Result<T, ApiError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = kube::Result<T>>,
    {
        self.call_noting_doubt(act, call).await.0
    }

    /// As [`Self::call`]; also says whether an earlier try was left in doubt.
    pub(crate) async fn call_noting_doubt<T, F, Fut>(&self, act: &str, call: F) -> (Result<T, ApiError>, bool)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = kube::Result<T>>,
    {
        let about = self.about(act);
        let (start, mut pause, mut doubt) = (Instant::now(), FIRST_PAUSE, false);
        loop {
            let tried = timeout(self.request_timeout, call()).await;
            let error = match tried {
                Ok(Ok(value)) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return (Ok(value), doubt);
                }
                Ok(Err(error)) if !self.is_transient(&error) => {
                    return (Err(ApiError::from_kube(&about, &error)), doubt);
                }
                Ok(Err(error)) => ApiError::from_kube(&about, &error),
                Err(_) if !self.reached.load(Ordering::Relaxed) => {
                    return (Err(ApiError::timed_out(&about, self.request_timeout)), doubt);
                }
                Err(_) => ApiError::timed_out(&about, self.request_timeout),
            };
            doubt = true;
            if start.elapsed() + pause >= RETRY_FOR {
                return (Err(error), doubt);
            }
            tracing::debug!(%error, "trying again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// True for an error that may pass by itself.
    fn is_transient(&self, error: &kube::Error) -> bool {
        match error {
            kube::Error::Api(status) => {
                self.reached.store(true, Ordering::Relaxed);
                matches!(status.code, 429 | 500 | 502 | 503 | 504)
            }
            kube::Error::Service(_) | kube::Error::HyperError(_) => self.reached.load(Ordering::Relaxed),
            _ => false,
        }
    }
}

fn resource(kind: Kind) -> ApiResource {
    let (group, version) = kind.api_version().rsplit_once('/').unwrap_or(("", kind.api_version()));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind.as_str()), kind.plural())
}

/// The name under which the API notes our writes.
pub(crate) const FIELD_MANAGER: &str = names::MANAGER;

//! From kubectl's flags and files to a connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use rocketmq::text::error_chain;

use crate::error::{ApiError, ApiErrorKind};

/// The flags that kubectl has for its connection; all as the user gave them.
#[derive(Clone, Default)]
pub struct Connection {
    /// `--kubeconfig`, instead of `KUBECONFIG` and the default file.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--server`.
    pub server: Option<String>,
    /// `--token`.
    pub token: Option<String>,
    /// `--as`.
    pub impersonate: Option<String>,
    /// `--as-uid`.
    pub impersonate_uid: Option<String>,
    /// `--as-group`, repeated.
    pub impersonate_groups: Vec<String>,
    /// `--insecure-skip-tls-verify`.
    pub insecure_skip_tls_verify: bool,
    /// `--certificate-authority`.
    pub certificate_authority: Option<PathBuf>,
    /// `--client-certificate`.
    pub client_certificate: Option<PathBuf>,
    /// `--client-key`.
    pub client_key: Option<PathBuf>,
    /// `--tls-server-name`.
    pub tls_server_name: Option<String>,
    /// `--request-timeout`; port-forwards do not end by it.
    pub request_timeout: Option<Duration>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("kubeconfig", &self.kubeconfig)
            .field("context", &self.context)
            .field("cluster", &self.cluster)
            .field("namespace", &self.namespace)
            .field("server", &self.server)
            .field("token", &self.token.as_ref().map(|_| "<redacted>"))
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// The configuration that the files and the flags make.
    pub(crate) async fn config(&self) -> Result<Config, ApiError> {
        let mut config = self.read_files().await?;
        if let Some(server) = &self.server {
            config.cluster_url = server.parse().map_err(|error: http::uri::InvalidUri| {
                ApiError::new(ApiErrorKind::Configuration, format!("`--server {server}` is no address"))
                    .because([error.to_string()])
            })?;
        }
        if let Some(path) = &self.certificate_authority {
            config.root_cert_file = Some(path.clone());
        }
        if self.insecure_skip_tls_verify {
            config.accept_invalid_certs = true;
        }
        if let Some(name) = &self.tls_server_name {
            config.tls_server_name = Some(name.clone());
        }
        if let Some(namespace) = &self.namespace {
            config.default_namespace.clone_from(namespace);
        }
        self.override_user(&mut config);
        refuse_application_credentials(&config.auth_info)?;
        // Retries are this crate's own: with a deadline, and for lost connections too.
        config.default_retry = false;
        Ok(config)
    }

    fn override_user(&self, config: &mut Config) {
        let user = &mut config.auth_info;
        if let Some(token) = &self.token {
            user.token = Some(token.clone().into());
            // A token on the command line wins over every other way the file names, as with kubectl.
            user.token_file = None;
            user.exec = None;
            user.auth_provider = None;
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        if let Some(path) = &self.client_certificate {
            user.client_certificate = Some(text(path));
            user.client_certificate_data = None;
        }
        if let Some(path) = &self.client_key {
            user.client_key = Some(text(path));
            user.client_key_data = None;
        }
        if let Some(name) = &self.impersonate {
            user.impersonate = Some(name.clone());
        }
        if let Some(uid) = &self.impersonate_uid {
            user.impersonate_uid = Some(uid.clone());
        }
        if !self.impersonate_groups.is_empty() {
            user.impersonate_groups = Some(self.impersonate_groups.clone());
        }
    }

    async fn read_files(&self) -> Result<Config, ApiError> {
        let error = |error: kube::config::KubeconfigError| {
            ApiError::new(ApiErrorKind::Configuration, "the kubeconfig cannot be used")
                .because(error_chain(&error))
        };
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
        };
        let Some(kubeconfig) = self.kubeconfig().map_err(error)? else {
            return self.without_files();
        };
        if kubeconfig.current_context.as_deref().unwrap_or_default().is_empty() && self.context.is_none() {
            return self.without_files();
        }
        Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(error)
    }

    /// The merged files; `None` when there is none. As with kubectl, a file of the list may be absent, one that
    /// was asked for may not.
    fn kubeconfig(&self) -> Result<Option<Kubeconfig>, kube::config::KubeconfigError> {
        if let Some(path) = &self.kubeconfig {
            return Kubeconfig::read_from(path).map(Some);
        }
        let paths: Vec<PathBuf> = match std::env::var_os("KUBECONFIG") {
            Some(list) if !list.is_empty() => std::env::split_paths(&list).collect(),
            _ => std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
        };
        let present: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
        if present.is_empty() {
            return Ok(None);
        }
        let merge = |merged: Kubeconfig, path: &&PathBuf| merged.merge(Kubeconfig::read_from(path)?);
        present.iter().try_fold(Kubeconfig::default(), merge).map(Some)
    }

    fn without_files(&self) -> Result<Config, ApiError> {
        if let Some(server) = self.server.as_ref().and_then(|server| server.parse().ok()) {
            return Ok(Config::new(server));
        }
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            return Config::incluster().map_err(|error| {
                ApiError::new(
                    ApiErrorKind::Configuration,
                    "the pod's own Kubernetes credentials cannot be used",
                )
                .because(error_chain(&error))
            });
        }
        Err(ApiError::new(ApiErrorKind::Configuration, "no Kubernetes cluster is configured").because([
            "no kubeconfig names a current context; set KUBECONFIG, --kubeconfig or --context".to_owned(),
        ]))
    }
}

/// kubectl has not known the provider `gcp` since 1.26. Its form with a command that prints a token works all the same; the
/// one that reads Google's application credentials would need a whole OAuth client.
fn refuse_application_credentials(user: &AuthInfo) -> Result<(), ApiError> {
    let Some(provider) = user.auth_provider.as_ref().filter(|provider| provider.name == "gcp") else {
        return Ok(());
    };
    if ["cmd-path", "id-token"].iter().any(|key| provider.config.contains_key(*key)) {
        return Ok(());
    }
    Err(ApiError::new(ApiErrorKind::Configuration, "the kubeconfig cannot be used").because([
        "its user has the auth-provider `gcp`, which kubectl has not known since 1.26 either; `gcloud container clusters \
         get-credentials` writes one with gke-gcloud-auth-plugin"
            .to_owned(),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: a
contexts:
- {name: a, context: {cluster: one, user: me, namespace: mq}}
- {name: b, context: {cluster: two, user: me}}
clusters:
- {name: one, cluster: {server: "https://one:6443"}}
- {name: two, cluster: {server: "https://two:6443"}}
users:
- {name: me, user: {token: from-file}}
- {name: google, user: {auth-provider: {name: gcp, config: {scopes: cloud-platform}}}}
- {name: google-command, user: {auth-provider: {name: gcp, config: {cmd-path: gcloud}}}}
"#;

    async fn config(name: &str, connection: Connection) -> Result<Config, ApiError> {
        let folder = std::env::temp_dir().join(format!("kubeconfig-{}-{name}", std::process::id()));
        std::fs::write(&folder, KUBECONFIG).unwrap();
        let config = Connection { kubeconfig: Some(folder.clone()), ..connection }.config().await;
        std::fs::remove_file(folder).unwrap();
        config
    }

    #[tokio::test]
    async fn a_provider_that_kubectl_has_dropped_is_refused_by_name() {
        let of = |user: &str| Connection { user: Some(user.to_owned()), ..Connection::default() };
        let refused = config("gcp", of("google")).await.unwrap_err();
        assert_eq!(refused.kind, ApiErrorKind::Configuration);
        assert!(refused.causes()[0].starts_with("its user has the auth-provider `gcp`"), "{refused:?}");
        assert!(config("gcp-command", of("google-command")).await.is_ok());
        let with_token = Connection { token: Some("mine".to_owned()), ..of("google") };
        assert!(config("gcp-token", with_token).await.is_ok(), "a token on the command line is enough");
    }

    #[tokio::test]
    async fn flags_win_over_the_file() {
        let plain = config("plain", Connection::default()).await.unwrap();
        assert_eq!(
            (plain.cluster_url.to_string().as_str(), plain.default_namespace.as_str()),
            ("https://one:6443/", "mq")
        );
        let connection = Connection {
            context: Some("b".to_owned()),
            namespace: Some("other".to_owned()),
            token: Some("from-flag".to_owned()),
            impersonate: Some("jane".to_owned()),
            impersonate_groups: vec!["dev".to_owned()],
            insecure_skip_tls_verify: true,
            tls_server_name: Some("k".to_owned()),
            ..Connection::default()
        };
        let flags = config("flags", connection).await.unwrap();
        assert_eq!(
            (flags.cluster_url.to_string().as_str(), flags.default_namespace.as_str()),
            ("https://two:6443/", "other")
        );
        assert_eq!(flags.auth_info.impersonate.as_deref(), Some("jane"));
        assert_eq!(flags.auth_info.impersonate_groups, Some(vec!["dev".to_owned()]));
        assert!(flags.accept_invalid_certs);
        assert_eq!(flags.tls_server_name.as_deref(), Some("k"));
    }

    #[tokio::test]
    async fn a_context_that_is_not_there_is_named() {
        let connection = Connection { context: Some("c".to_owned()), ..Connection::default() };
        let error = config("context", connection).await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Configuration);
        assert_eq!(error.causes(), ["failed to load current context: c"]);
    }

    #[tokio::test]
    async fn a_file_that_was_asked_for_must_be_there() {
        let connection = Connection { kubeconfig: Some("no/such/file".into()), ..Connection::default() };
        let error = connection.config().await.unwrap_err();
        assert_eq!(
            error.causes(),
            ["failed to read kubeconfig from '\"no/such/file\"'", "No such file or directory (os error 2)"]
        );
    }

    #[test]
    fn a_token_is_never_printed() {
        let connection = Connection { token: Some("secret".to_owned()), ..Connection::default() };
        assert!(!format!("{connection:?}").contains("secret"));
    }
}

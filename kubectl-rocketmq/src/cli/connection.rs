//! kubectl's flags as `ops` takes them.

use ops::session::ConnectionFlags;

use crate::cli::args::ConnectionArgs;

impl ConnectionArgs {
    /// The flags as `ops` takes them.
    #[must_use]
    pub fn to_flags(&self) -> ConnectionFlags {
        ConnectionFlags {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
            namespace: self.namespace.clone(),
            server: self.server.clone(),
            token: self.token.clone(),
            impersonate: self.as_user.clone(),
            impersonate_uid: self.as_uid.clone(),
            impersonate_groups: self.as_groups.clone(),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            certificate_authority: self.certificate_authority.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            tls_server_name: self.tls_server_name.clone(),
            request_timeout: self.request_timeout,
        }
    }
}

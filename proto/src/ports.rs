//! Where agents listen: always on the loopback, on ports that differ by role, because pods with hostNetwork
//! share the loopback of their node.

/// gRPC port of an agent beside a name server.
pub const NAME_SERVER_AGENT: u16 = 19876;

/// gRPC port of an agent beside a broker.
pub const BROKER_AGENT: u16 = 19911;

/// HTTP port on which a broker's agent answers `GET /rocketmq/nsaddr`.
pub const ADDRESS_SERVER: u16 = 19880;

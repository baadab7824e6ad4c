//! Objects that a server process keeps, and the proxies through which any process uses them.

mod barrier;
mod client;
mod condition;
mod dict;
mod event;
mod line;
mod list;
mod lock;
mod manager;
mod namespace;
mod protocol;
mod proxy;
mod queue;
mod semaphore;
mod server;
mod value;

pub use barrier::BarrierProxy;
pub use condition::ConditionProxy;
pub use dict::{DictProxy, Map};
pub use event::EventProxy;
pub use list::{ArrayProxy, ListProxy};
pub use lock::{LockProxy, LockProxyError, LockProxyGuard, RLockProxy, RLockProxyGuard};
pub use manager::Manager;
pub use namespace::NamespaceProxy;
pub use proxy::Proxy;
pub use queue::{QueueProxy, QueueProxyIter};
pub use semaphore::{PermitProxy, SemaphoreProxy};
pub use value::ValueProxy;

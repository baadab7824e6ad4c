//! stub
use crate::Error; use std::path::Path; use std::os::fd::*; use std::net::SocketAddr;
#[derive(Debug)] pub(crate) struct NotifySocket(OwnedFd); pub(crate) struct Message{pub ready:bool,pub status:Option<String>}
impl NotifySocket { pub(crate) fn bind(_:&Path)->Result<Self,Error>{todo!()} pub(crate) fn path(&self)->&Path{todo!()} pub(crate) fn receive(&self)->Vec<Message>{todo!()} }
impl AsFd for NotifySocket { fn as_fd(&self)->BorrowedFd<'_>{self.0.as_fd()} }
pub(crate) struct TcpProbe; impl TcpProbe { pub(crate) fn start(_:SocketAddr)->std::io::Result<Self>{todo!()} pub(crate) fn finish(&self)->Option<bool>{todo!()} }

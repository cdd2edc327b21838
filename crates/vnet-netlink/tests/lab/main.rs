//! Whole networks made with [`vnet_netlink::Batch`] in namespaces the tests make, and
//! compared with what frames do in them.

#![allow(clippy::unwrap_used)]

mod changes;
mod input;
mod listing;
mod ordinary;
mod patch;
mod space;
mod speed;

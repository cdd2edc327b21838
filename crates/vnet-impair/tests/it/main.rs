//! What a line promises, seen from outside.

mod bench;
mod codel;
mod conservation;
mod declare;
mod drive;
mod fates;
mod files;
mod live;
mod rates;
mod reorder;
mod statistics;

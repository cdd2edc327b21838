//! The maps of a plugin at work.

use vnet_runtime::{MapCopy, MapError, MapInfo, Stage};

use crate::attachment::Attachment;
use crate::error::Error;

/// Each of these is done by the thread that carries the frames, between two batches.
impl Attachment {
    /// Returns what the plugin's maps are.
    ///
    /// # Errors
    /// [`Error::Map`] for one that the plugin broke and while it is out of service, [`Error::Closed`] when it was detached.
    pub fn maps(&self) -> Result<Vec<MapInfo>, Error> {
        self.on_stage(|| Stage::maps)
    }

    /// Returns what a map is.
    ///
    /// # Errors
    /// [`Error::NoSuchMap`], and as [`Attachment::maps`].
    pub fn map_info(&self, map: &str) -> Result<MapInfo, Error> {
        self.on_stage(|| {
            let map = map.to_owned();
            move |stage: &mut Stage| stage.map_info(&map)
        })
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key of another size, and as [`Attachment::map_info`].
    pub fn map_get(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.on_stage(|| {
            let (map, key) = (map.to_owned(), key.to_owned());
            move |stage: &mut Stage| stage.map_get(&map, &key)
        })
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`Error::Map`] when the map is full, and as [`Attachment::map_get`].
    pub fn map_set(&self, map: &str, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.on_stage(|| {
            let (map, key, value) = (map.to_owned(), key.to_owned(), value.to_owned());
            move |stage: &mut Stage| stage.map_set(&map, &key, &value)
        })
    }

    /// Takes a key out and returns its value.
    ///
    /// # Errors
    /// As [`Attachment::map_get`].
    pub fn map_remove(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.on_stage(|| {
            let (map, key) = (map.to_owned(), key.to_owned());
            move |stage: &mut Stage| stage.map_remove(&map, &key)
        })
    }

    /// Takes all keys out.
    ///
    /// # Errors
    /// As [`Attachment::map_info`].
    pub fn map_clear(&self, map: &str) -> Result<(), Error> {
        self.on_stage(|| {
            let map = map.to_owned();
            move |stage: &mut Stage| stage.map_clear(&map)
        })
    }

    /// Returns all of a map as it is at one moment.
    ///
    /// Frames wait for as long as copying its slots takes; memory for them is had before, and they are looked at afterwards.
    ///
    /// # Errors
    /// As [`Attachment::map_info`].
    pub fn map_copy(&self, map: &str) -> Result<MapCopy, Error> {
        let bytes = self.on_stage(|| {
            let map = map.to_owned();
            move |stage: &mut Stage| stage.map_bytes(&map)
        })?;
        self.on_stage(|| {
            let (map, room) = (map.to_owned(), MapCopy::with_room(bytes));
            move |stage: &mut Stage| stage.map_copy(&map, room)
        })
    }

    fn on_stage<T, J>(&self, job: impl Fn() -> J) -> Result<T, Error>
    where
        T: Send + 'static,
        J: FnOnce(&mut Stage) -> Result<T, MapError> + Send + 'static,
    {
        self.inner
            .on_pipeline(|pipeline, id| Ok(pipeline.on_stage(id, job())??))
    }
}

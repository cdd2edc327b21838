//! The Arrow C data interface and C stream interface, as far as a table of ours needs them.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface.html>, `CStreamInterface.html`. Structures that cross the border own
//! what they point to through `private_data`, and free it in their `release`, whoever calls that; a stream gives its table as
//! one batch. Columns are made of safe parts by [`Column`]; only the border below is unsafe.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

/// Bytes that begin at a multiple of eight, as readers expect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer(Vec<u64>);

impl Buffer {
    /// Takes little-endian bytes; x86-64 and AArch64 Linux are.
    pub fn of(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        Self(bytes.chunks(8).map(word).collect())
    }
}

/// A column: its type as the interface writes it (`L` is a u64, `u` a text, `+m` a map), its values, and those of its parts.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub name: &'static CStr,
    pub format: &'static CStr,
    pub nullable: bool,
    pub length: usize,
    pub nulls: usize,
    /// `None` stands for a validity bitmap of a column without nulls.
    pub buffers: Vec<Option<Buffer>>,
    pub children: Vec<Column>,
}

const NULLABLE: i64 = 2;

#[repr(C)]
struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

/// A table that a reader takes by the C stream interface.
#[repr(C)]
pub(crate) struct Stream {
    get_schema: Option<unsafe extern "C" fn(*mut Stream, *mut ArrowSchema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut Stream, *mut ArrowArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut Stream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private_data: *mut c_void,
}

// SAFETY: what it points to is a `Table` of its own, which is `Send`; a reader uses a stream in one thread at a time.
unsafe impl Send for Stream {}

struct Table {
    columns: Column,
    is_given: bool,
}

impl Stream {
    /// Makes one of columns, which are the children of a struct column.
    pub fn new(columns: Column) -> Self {
        let table = Box::new(Table {
            columns,
            is_given: false,
        });
        Self {
            get_schema: Some(get_schema),
            get_next: Some(get_next),
            get_last_error: Some(get_last_error),
            release: Some(release_stream),
            private_data: Box::into_raw(table).cast(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A reader that moved it away has left no `release` here.
        if let Some(release) = self.release {
            // SAFETY: `release` is still there, so `self` was made by `new` and its table has not been freed.
            unsafe { release(self) }
        }
    }
}

unsafe extern "C" fn get_schema(stream: *mut Stream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: the interface has readers pass a stream that is not released, made by `Stream::new`, and room for a schema.
    unsafe {
        let table = &*(*stream).private_data.cast::<Table>();
        out.write(schema(&table.columns));
    }
    0
}

unsafe extern "C" fn get_next(stream: *mut Stream, out: *mut ArrowArray) -> c_int {
    // SAFETY: as in `get_schema`; nobody else uses the table meanwhile. An array without `release` says that it is the end.
    unsafe {
        let table = &mut *(*stream).private_data.cast::<Table>();
        let next = if table.is_given {
            end()
        } else {
            array(table.columns.clone())
        };
        table.is_given = true;
        out.write(next);
    }
    0
}

unsafe extern "C" fn get_last_error(_: *mut Stream) -> *const c_char {
    ptr::null()
}

unsafe extern "C" fn release_stream(stream: *mut Stream) {
    // SAFETY: a reader releases a stream once; `private_data` is the box that `Stream::new` made.
    unsafe {
        drop(Box::from_raw((*stream).private_data.cast::<Table>()));
        (*stream).private_data = ptr::null_mut();
        (*stream).release = None;
    }
}

/// What a schema or array owns: children, and what its pointers point to.
struct Owned<T> {
    children: Vec<*mut T>,
    buffers: Vec<Option<Buffer>>,
    pointers: Vec<*const c_void>,
    names: Vec<CString>,
}

fn schema(column: &Column) -> ArrowSchema {
    let children = column.children.iter();
    let mut owned = Box::new(Owned {
        children: children
            .map(|child| Box::into_raw(Box::new(schema(child))))
            .collect(),
        buffers: Vec::new(),
        pointers: Vec::new(),
        names: vec![column.format.to_owned(), column.name.to_owned()],
    });
    ArrowSchema {
        format: owned.names[0].as_ptr(),
        name: owned.names[1].as_ptr(),
        metadata: ptr::null(),
        flags: if column.nullable { NULLABLE } else { 0 },
        n_children: count(owned.children.len()),
        children: owned.children.as_mut_ptr(),
        dictionary: ptr::null_mut(),
        release: Some(release_schema),
        private_data: Box::into_raw(owned).cast(),
    }
}

fn array(column: Column) -> ArrowArray {
    let children = column.children.into_iter();
    let pointer = |buffer: &Option<Buffer>| match buffer {
        Some(buffer) => buffer.0.as_ptr().cast(),
        None => ptr::null(),
    };
    let mut owned = Box::new(Owned {
        children: children
            .map(|child| Box::into_raw(Box::new(array(child))))
            .collect(),
        pointers: column.buffers.iter().map(pointer).collect(),
        buffers: column.buffers,
        names: Vec::new(),
    });
    ArrowArray {
        length: count(column.length),
        null_count: count(column.nulls),
        offset: 0,
        n_buffers: count(owned.buffers.len()),
        n_children: count(owned.children.len()),
        buffers: owned.pointers.as_mut_ptr(),
        children: owned.children.as_mut_ptr(),
        dictionary: ptr::null_mut(),
        release: Some(release_array),
        private_data: Box::into_raw(owned).cast(),
    }
}

fn end() -> ArrowArray {
    ArrowArray {
        length: 0,
        null_count: 0,
        offset: 0,
        n_buffers: 0,
        n_children: 0,
        buffers: ptr::null_mut(),
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: None,
        private_data: ptr::null_mut(),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: readers release a schema once; its boxes are those of `schema`. A reader may have moved a child away, which then
    // has no `release`, but its box stays ours.
    unsafe {
        let owned = Box::from_raw((*schema).private_data.cast::<Owned<ArrowSchema>>());
        for &child in &owned.children {
            if let Some(release) = (*child).release {
                release(child);
            }
            drop(Box::from_raw(child));
        }
        (*schema).release = None;
    }
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: as in `release_schema`, for the boxes of `array`.
    unsafe {
        let owned = Box::from_raw((*array).private_data.cast::<Owned<ArrowArray>>());
        for &child in &owned.children {
            if let Some(release) = (*child).release {
                release(child);
            }
            drop(Box::from_raw(child));
        }
        (*array).release = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_its_bytes_in_order() {
        let buffer = Buffer::of(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(buffer.0[0].to_ne_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(buffer.0[1].to_ne_bytes()[0], 9);
    }
}

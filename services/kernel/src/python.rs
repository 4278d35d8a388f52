//! The Python module `headrace_kernel._kernel`. Decoding and compressing release the GIL.

use crate::rules::{read_rules, RuleTuple};
use crate::{Appended, Block, Builder, Guard, Names, Signal, Target, Treatment, LIMITS};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

pyo3::create_exception!(
    headrace_kernel,
    LayoutError,
    PyValueError,
    "A table has a column or a type that no encoder fills; the text names both."
);

/// A builder shared with Python threads. The counters can be read while another thread decodes.
#[pyclass(name = "BlockBuilder", module = "headrace_kernel", frozen)]
struct PyBuilder {
    inner: Mutex<Builder>,
    rows: AtomicU64,
    nbytes: AtomicU64,
    replaced: AtomicU64,
}

impl PyBuilder {
    /// The builder; call it without the GIL, because another thread may be decoding.
    fn lock(&self) -> MutexGuard<'_, Builder> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, inner: &Builder) {
        self.rows.store(inner.rows() as u64, Relaxed);
        self.nbytes.store(inner.nbytes() as u64, Relaxed);
        self.replaced.store(inner.replaced_utf8(), Relaxed);
    }
}

type Rejection = (usize, &'static str, String);
/// How many payloads were taken, and the rejected ones among them.
type Taken = (usize, Vec<Rejection>);

#[pymethods]
impl PyBuilder {
    /// Rows pending over all targets.
    #[getter]
    fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Bytes held by the pending columns.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.nbytes.load(Relaxed)
    }

    /// Strings whose invalid UTF-8 was replaced since construction.
    #[getter]
    fn replaced_utf8(&self) -> u64 {
        self.replaced.load(Relaxed)
    }

    /// Decodes serialized export requests in order; returns (index, reason, detail) of each
    /// rejected one.
    fn append_many(
        &self,
        py: Python<'_>,
        payloads: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<Rejection>> {
        py.detach(|| {
            let mut inner = self.lock();
            let mut rejections = Vec::new();
            for (index, payload) in payloads.iter().enumerate() {
                if let Err(reject) = inner.append_within(payload, &[], usize::MAX) {
                    rejections.push((index, reject.reason(), reject.detail()));
                }
            }
            self.publish(&inner);
            Ok(rejections)
        })
    }

    /// As `append_many`, until a block's body would be longer than `max_block_bytes`, before
    /// compression. Gives how many payloads were taken, and the rejected ones among them.
    fn append_within(
        &self,
        py: Python<'_>,
        payloads: Vec<PyBackedBytes>,
        tenants: Vec<PyBackedBytes>,
        max_block_bytes: usize,
    ) -> PyResult<Taken> {
        if !tenants.is_empty() && tenants.len() != payloads.len() {
            return Err(PyValueError::new_err("not one tenant for each payload"));
        }
        py.detach(|| {
            let mut inner = self.lock();
            let mut rejections = Vec::new();
            let mut taken = payloads.len();
            for (index, payload) in payloads.iter().enumerate() {
                let tenant = tenants.get(index).map_or(&[][..], |tenant| tenant);
                match inner.append_within(payload, tenant, max_block_bytes) {
                    Ok(Appended::Taken) => {}
                    Ok(Appended::Left) => {
                        taken = index;
                        break;
                    }
                    Err(reject) => rejections.push((index, reject.reason(), reject.detail())),
                }
            }
            self.publish(&inner);
            Ok((taken, rejections))
        })
    }

    /// What each guardrail did since construction, in the order of the rules.
    #[getter]
    fn rule_counts(&self, py: Python<'_>) -> Vec<u64> {
        py.detach(|| self.lock().rule_counts().to_vec())
    }

    /// ((table, shard), rows) of each target with rows, ordered by target.
    fn pending(&self, py: Python<'_>) -> Vec<(Target, usize)> {
        py.detach(|| self.lock().pending())
    }

    /// Closes the pending rows into blocks: (table, shard, rows, ingest_id, body, raw_bytes,
    /// min_time_ns, max_time_ns), ordered by target.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        ingest_ids: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut ids = Vec::new();
        let pending = self.pending(py);
        for (target, _) in &pending {
            match ingest_ids.get_item(*target) {
                Ok(id) => ids.push(id.extract::<u64>()?),
                Err(error) if error.is_instance_of::<PyKeyError>(py) => {
                    let text = format!("no IngestId for table {} shard {}", target.0, target.1);
                    return Err(PyKeyError::new_err(text));
                }
                Err(error) => return Err(error),
            }
        }
        let blocks = py.detach(|| {
            let mut inner = self.lock();
            // Another thread may have appended in between: then its rows have no id.
            let same = inner.pending() == pending;
            let blocks = same.then(|| inner.finish(&ids));
            self.publish(&inner);
            blocks
        });
        let Some(blocks) = blocks else {
            return Err(PyValueError::new_err("rows were appended during finish"));
        };
        let list = PyList::empty(py);
        for block in blocks {
            list.append(to_tuple(py, block)?)?;
        }
        Ok(list)
    }
}

fn to_tuple<'py>(
    py: Python<'py>,
    (target, id, block): (Target, u64, Block),
) -> PyResult<Bound<'py, PyTuple>> {
    let body = PyBytes::new(py, &block.body);
    (
        target.0,
        target.1,
        block.rows,
        id,
        body,
        block.raw_bytes,
        block.min_time,
        block.max_time,
    )
        .into_pyobject(py)
}

/// Guardrails, the key of their hashes, the tenant's attribute, and names of contents.
type TreatmentTuple = (Vec<RuleTuple>, (u64, u64), String, Vec<String>);

/// A block builder for one signal's tables.
#[pyfunction]
#[pyo3(signature = (signal, layouts, shards, compression = "lz4", treatment = None))]
fn builder(
    signal: &str,
    layouts: &Bound<'_, PyAny>,
    shards: usize,
    compression: &str,
    treatment: Option<TreatmentTuple>,
) -> PyResult<PyBuilder> {
    let Some(signal) = Signal::named(signal) else {
        let text = format!("signal {signal:?} is none of traces, metrics, logs");
        return Err(PyValueError::new_err(text));
    };
    if !(1..=65_536).contains(&shards) {
        let text = format!("shards {shards} is not between 1 and 65536");
        return Err(PyValueError::new_err(text));
    }
    let compressed = match compression {
        "lz4" => true,
        "none" => false,
        other => {
            let text = format!("compression {other:?} is none of lz4, none");
            return Err(PyValueError::new_err(text));
        }
    };
    let layouts = headers(layouts)?;
    let (rules, key, tenant, content) = treatment.unwrap_or_default();
    let rules = read_rules(rules).map_err(PyValueError::new_err)?;
    let treatment = Treatment {
        guard: (!rules.is_empty()).then(|| Guard::new(rules, [key.0, key.1])),
        tenant_attribute: tenant.into_bytes(),
        content: Names::new(content.into_iter().map(String::into_bytes).collect()),
    };
    let inner = Builder::with(signal, &layouts, shards, compressed, LIMITS, treatment)
        .map_err(|error| LayoutError::new_err(error.0))?;
    Ok(PyBuilder {
        inner: Mutex::new(inner),
        rows: AtomicU64::new(0),
        nbytes: AtomicU64::new(0),
        replaced: AtomicU64::new(0),
    })
}

fn headers(layouts: &Bound<'_, PyAny>) -> PyResult<Vec<(String, crate::Header)>> {
    let dict = PyDict::new(layouts.py());
    dict.update(layouts.cast()?)
        .map_err(|_| PyTypeError::new_err("layouts is no mapping"))?;
    let mut tables = Vec::new();
    for (name, header) in dict {
        let mut columns = Vec::new();
        for column in header.try_iter()? {
            columns.push(column?.extract::<(String, String)>()?);
        }
        tables.push((name.extract()?, columns));
    }
    Ok(tables)
}

/// ClickHouse's cityHash64 of one String.
#[pyfunction]
fn city_hash_64(data: &[u8]) -> u64 {
    crate::city_hash_64(data)
}

/// SipHash-2-4 with 128 bits of output, under a key of two little-endian words.
#[pyfunction]
fn sip_hash_128<'py>(py: Python<'py>, key: (u64, u64), data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &crate::sip_hash_128([key.0, key.1], data))
}

/// The checksum of a ClickHouse compressed frame: 16 bytes, low word first.
#[pyfunction]
fn city_hash_128<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    let (low, high) = crate::city_hash_128(data);
    PyBytes::new(py, &[low.to_le_bytes(), high.to_le_bytes()].concat())
}

#[pymodule]
fn _kernel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("LayoutError", module.py().get_type::<LayoutError>())?;
    module.add_class::<PyBuilder>()?;
    module.add_function(wrap_pyfunction!(builder, module)?)?;
    module.add_function(wrap_pyfunction!(city_hash_64, module)?)?;
    module.add_function(wrap_pyfunction!(city_hash_128, module)?)?;
    module.add_function(wrap_pyfunction!(sip_hash_128, module)?)?;
    Ok(())
}

@file:Suppress("UNUSED_PARAMETER", "unused")

package org.tensorflow.lite

import java.nio.ByteBuffer

enum class DataType { FLOAT32, UINT8 }

class Tensor {
    fun shape(): IntArray = TODO()
    fun dataType(): DataType = TODO()
}

class Interpreter(model: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        fun setNumThreads(count: Int): Options = TODO()
    }

    fun getInputTensor(index: Int): Tensor = TODO()
    fun getOutputTensor(index: Int): Tensor = TODO()
    fun getOutputTensorFromSignature(name: String, signature: String): Tensor = TODO()
    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, signature: String): Unit = TODO()
    fun run(input: Any, output: Any): Unit = TODO()
    override fun close(): Unit = TODO()
}

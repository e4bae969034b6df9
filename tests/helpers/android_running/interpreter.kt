// An interpreter that returns what lies in a folder: NAME.shape, a line of numbers, and NAME.f32, their values.
@file:Suppress("UNUSED_PARAMETER", "unused")

package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer

enum class DataType { FLOAT32, UINT8 }

val FOLDER = File(System.getProperty("outputs"))

class Tensor(private val name: String) {
    fun shape(): IntArray = File(FOLDER, "$name.shape").readText().trim().split(" ").map(String::toInt).toIntArray()
    fun dataType(): DataType = DataType.valueOf(File(FOLDER, "$name.type").readText().trim())
}

class Interpreter(model: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        fun setNumThreads(count: Int): Options = this
    }

    fun getInputTensor(index: Int): Tensor = Tensor("input")
    fun getOutputTensorFromSignature(name: String, signature: String): Tensor = Tensor(name)
    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, signature: String) {
        for ((name, buffer) in outputs) (buffer as ByteBuffer).put(File(FOLDER, "$name.f32").readBytes())
    }
    override fun close() {}
}

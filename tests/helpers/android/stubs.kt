// Declarations of what generated code calls, with the signatures of Android and LiteRT; no bodies.
@file:Suppress("UNUSED_PARAMETER", "unused")

package android.content.res

import java.io.FileDescriptor
import java.io.InputStream

class AssetFileDescriptor(val fileDescriptor: FileDescriptor, val startOffset: Long, val declaredLength: Long) :
    java.io.Closeable {
    override fun close() = TODO()
}

class AssetManager {
    fun open(name: String): InputStream = TODO()
    fun openFd(name: String): AssetFileDescriptor = TODO()
}

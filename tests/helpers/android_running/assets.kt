// Android's assets on any machine: the files of a folder.
package android.content.res

import java.io.File
import java.io.FileDescriptor
import java.io.FileInputStream
import java.io.InputStream

class AssetFileDescriptor(val fileDescriptor: FileDescriptor, val startOffset: Long, val declaredLength: Long) :
    java.io.Closeable {
    override fun close() {}
}

class AssetManager(private val folder: File) {
    fun open(name: String): InputStream = FileInputStream(File(folder, name))

    fun openFd(name: String): AssetFileDescriptor {
        val file = File(folder, name)
        return AssetFileDescriptor(FileInputStream(file).fd, 0, file.length())
    }
}

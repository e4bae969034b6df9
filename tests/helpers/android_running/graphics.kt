// An image of one colour, which is never resized.
@file:Suppress("UNUSED_PARAMETER")

package android.graphics

class Bitmap(val width: Int, val height: Int) {
    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        pixels.fill(0x102030)
    }

    companion object {
        @JvmStatic
        fun createScaledBitmap(source: Bitmap, width: Int, height: Int, filter: Boolean): Bitmap = Bitmap(width, height)
    }
}
